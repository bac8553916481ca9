"""A fitted map as one JSON document, for programs in other languages: page/templates/features.js runs it.

It is the result of `document_of` with each array in its place: {"shape": [16, 7, 7], "int32": "base64, little-endian"}.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_cli.maps.feature_map import FeatureMap, document_of


def portable_document(feature_map: FeatureMap) -> dict[str, Any]:
    """Return a map as one document; equal maps give equal documents.

    Args:
        feature_map: the map; `check` proved that all its numbers fit into int32.
    """
    document, arrays = document_of(feature_map)

    def with_arrays(part: Any) -> Any:
        if isinstance(part, list):
            return [with_arrays(item) for item in part]
        if not isinstance(part, dict):
            return part
        if set(part) == {"array"}:
            return portable_array(arrays[part["array"]])
        return {name: with_arrays(value) for name, value in part.items()}

    result: dict[str, Any] = with_arrays(document)
    return result


def portable_array(array: npt.NDArray[Any]) -> dict[str, Any]:
    """Return whole numbers that fit into int32, of any shape, as features.js reads them."""
    content = base64.b64encode(np.ascontiguousarray(array, "<i4").tobytes()).decode()
    return {"shape": list(array.shape), "int32": content}


def portable_size(feature_map: FeatureMap) -> int:
    """Return the length of the document as JSON, in characters."""
    return len(json.dumps(portable_document(feature_map), separators=(",", ":")))
