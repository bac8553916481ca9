// Figure 7: the accuracy on the unseen examples, its interval, and the confusions.

const CELL_IMAGES = 60;
const PAIRS = 40;

// The 95 % interval of a proportion (Wilson, 1927).
const wilson = (correct, count) => {
  const z = 1.959963984540054;
  const share = correct / count;
  const spread = z * Math.sqrt(share * (1 - share) / count + z * z / (4 * count * count));
  const [centre, scale] = [share + z * z / (2 * count), 1 + z * z / count];
  return [correct ? (centre - spread) / scale : 0, correct === count ? 1 : (centre + spread) / scale];
};

const evaluationFigure = (film, parts) => {
  const {labels} = parts.test;
  let open = null; // [label, answer] of the cell whose images are shown
  const matrix = byId("matrix");
  const cells = matrix ? classIndices.map(label => classIndices.map(answer => {
    const cell = matrix.querySelector(`[data-cell="${label}-${answer}"]`);
    cell.addEventListener("click", () => {
      open = [label, answer];
      showCell();
    });
    return cell;
  })) : null;

  const showCell = () => {
    if (!open) return;
    const [label, answer] = open;
    const {answers} = film.measure();
    const rows = [...labels.keys()].filter(row => labels[row] === label && answers[row] === answer);
    byId("cell-title").textContent = `${data.classes[label]} read as ${data.classes[answer]}: ${rows.length}` +
      (rows.length > CELL_IMAGES ? `, the first ${CELL_IMAGES} shown` : "");
    byId("cell-images").replaceChildren(...rows.slice(0, CELL_IMAGES).map(row => {
      const canvas = element("canvas", {className: "thumb", "aria-hidden": "true"});
      drawInk(canvas, imageAt(parts.test, row));
      const name = `unseen ${data.noun} ${row + 1}`;
      const button = element("button", {type: "button", "aria-label": `Show ${name} in all figures`}, canvas);
      button.addEventListener("click", () => take(imageAt(parts.test, row), labels[row], name));
      return element("li", {}, button);
    }));
  };
  const showPairs = counts => {
    const pairs = [...counts].filter(([key]) => Math.floor(key / classes) !== key % classes)
      .sort(([, one], [, other]) => other - one).slice(0, PAIRS);
    byId("pairs").replaceChildren(...pairs.map(([key, count]) => {
      const [label, answer] = [Math.floor(key / classes), key % classes];
      const button = element("button", {type: "button", textContent: `${data.classes[label]} as ${data.classes[answer]}: ${count}`});
      button.addEventListener("click", () => {
        open = [label, answer];
        showCell();
      });
      return element("li", {}, button);
    }));
  };
  const showCurve = () => {
    const points = film.measuredSteps().map(([step, {correct}]) => `${40 + 470 * step / STEPS},${210 - 195 * correct / data.test}`);
    byId("accuracy-curve").setAttribute("points", points.join(" "));
  };
  const show = () => {
    const {answers, correct} = film.measure();
    const [low, high] = wilson(correct, data.test);
    byId("accuracy").textContent = percent(correct / data.test);
    byId("accuracy-text").textContent = `${grouped(correct)} of ${grouped(data.test)} unseen ${data.nouns} after ` +
      `${grouped(film.trainer.steps)} steps; 95\u00a0% interval ${percent(low)} to ${percent(high)}.`;
    const counts = new Map();
    answers.forEach((answer, row) => {
      const key = labels[row] * classes + answer;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    });
    if (!cells) showPairs(counts);
    cells?.forEach((row, label) => {
      const total = classIndices.reduce((sum, answer) => sum + (counts.get(label * classes + answer) ?? 0), 0);
      row.forEach((cell, answer) => {
        const count = counts.get(label * classes + answer) ?? 0;
        const level = count && total ? Math.min(5, 1 + Math.floor(Math.log2(Math.max(0.005, count / total) / 0.005))) : 0;
        cell.textContent = count;
        cell.setAttribute("aria-label", `${data.classes[label]} read as ${data.classes[answer]}: ${count}`);
        cell.parentElement.className = label === answer ? "diagonal" : `level${level}${count ? "" : " zero"}`;
      });
    });
    showCurve();
    showCell();
  };
  film.watchers.push(show);
  onRepaint(showCell);
  byId("accuracy-train").addEventListener("click", () => film.go(STEPS));
};
