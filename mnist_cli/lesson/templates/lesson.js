// The page: builds all figures once the examples are unpacked.

const evidenceModel = {weights: floatsOf(data.weights), bias: floatsOf(data.bias)};

const start = async () => {
  const parts = await unpack();
  dataFigure(parts);
  oneHotFigure();
  const {values} = evidenceFigure(evidenceModel);
  softmaxFigure(values);
  lossFigure(values);
  const film = makeFilm(parts);
  trainingFigure(film);
  evaluationFigure(film, parts);
  film.reset();
  onChange(syncPads);
  document.querySelectorAll("canvas.drawing").forEach(canvas => canvas.style.maxWidth = `${300 * width / height}px`);
  document.documentElement.classList.add("scripted");
  take(imageAt(parts.test, 0), parts.test.labels[0], `unseen ${data.noun} 1`);
  pads.forEach(pad => pad.paint());
  // For the console and tests: the functions that the figures use.
  window.mnistLesson = {data, parts, film, hand, take, evidenceModel, logits, softmax, exactParts, digestOf, sha256, orderOf, normalise, wilson};
};
start().catch(error => {
  document.documentElement.classList.add("broken");
  throw error;
});
