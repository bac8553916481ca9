# An image that runs the pipeline: docs/installation.md says how to build and run it, docs/training.md uses it.
# Its user is not root, and writes to /work/artifacts and /tmp alone, so the rest may be read-only.

FROM python:3.12-slim-bookworm AS build
WORKDIR /source
RUN python -m venv /opt/mnist
ENV PATH=/opt/mnist/bin:$PATH
# Dependencies first: this layer stays when only the source changes. An index of your own is in a pip.conf that you give
# as the secret 'pip'; no layer keeps it. TensorFlow's headers are a fifth of what is installed, for compiling against it.
COPY pyproject.toml constraints.txt ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    --mount=type=cache,target=/root/.cache/pip \
    python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
        > requirements.txt \
    && pip install -c constraints.txt -r requirements.txt \
    && rm -r /opt/mnist/lib/python3.*/site-packages/tensorflow/include
COPY README.md LICENSE ./
COPY mnist_cli mnist_cli
# setuptools is there already, pinned: TensorFlow needs it. So this step needs no network.
RUN pip install --no-index --no-deps --no-build-isolation .

FROM python:3.12-slim-bookworm
# By number, as Kubernetes cannot tell from a name that it is not root. Docker gives a new volume the folder's owner.
RUN install -d -o 10001 -g 10001 /work/artifacts
COPY --from=build /opt/mnist /opt/mnist
ENV PATH=/opt/mnist/bin:$PATH HOME=/tmp
WORKDIR /work
VOLUME ["/work/artifacts"]
USER 10001:10001
ENTRYPOINT ["mnist"]
CMD ["--help"]
