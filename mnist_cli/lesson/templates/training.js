// Figure 6: the training, forwards and backwards, and its predictions for the current image.

const STEPS = data.steps;
const REMEMBERED = 64e6; // bytes of W at remembered steps; steps in between are computed again
const FRAME = 14; // milliseconds of computing in each frame of the film

// The run that is shown as a film: its current step, its goal, and its watchers.
const makeFilm = parts => {
  const [ink, unseen] = [inkOf(parts.train), inkOf(parts.test)];
  const size = (pixelCount + 1) * classes;
  const every = Math.max(1, Math.ceil(STEPS * size * 4 / REMEMBERED));
  const film = {rate: data.rate, batch: data.batch, goal: 0, isPlaying: false, watchers: []};
  let remembered = new Map();
  let measured = new Map();

  film.reset = () => {
    const batch = film.batch === "full" ? data.train : film.batch;
    film.trainer = makeTrainer({ink, pixels: pixelCount, classes, tables: data.tables, batch, seed: data.seed,
      factors: data.factors[film.rate], largest: data.largest});
    film.losses = new Float64Array(STEPS);
    film.known = 0; // steps whose losses are known
    [film.goal, film.isPlaying] = [0, false];
    remembered = new Map([[0, new Int32Array(size)]]);
    measured = new Map();
    film.notify();
  };
  const advance = () => {
    const {trainer} = film;
    film.losses[trainer.steps] = trainer.step();
    film.known = Math.max(film.known, trainer.steps);
    if (trainer.steps % every === 0 && !remembered.has(trainer.steps)) {
      const values = new Int32Array(size);
      values.set(trainer.V);
      values.set(trainer.b, trainer.V.length);
      remembered.set(trainer.steps, values);
    }
  };
  const isOver = () => !film.trainer.isInRange || film.trainer.steps >= film.goal;
  let frame = 0;
  const run = () => {
    frame = 0;
    const {trainer} = film;
    const until = performance.now() + FRAME;
    // When played, it begins step by step and gets faster.
    const last = film.isPlaying ? Math.min(film.goal, trainer.steps + 1 + Math.floor(trainer.steps / 60)) : film.goal;
    do advance(); while (trainer.isInRange && trainer.steps < last && performance.now() < until);
    if (isOver()) film.isPlaying = false;
    else frame = requestAnimationFrame(run);
    film.notify();
  };
  // Go to a step, at once or as a film.
  film.go = (step, isPlaying = false) => {
    [film.goal, film.isPlaying] = [Math.min(STEPS, step), isPlaying];
    if (step < film.trainer.steps) {
      const from = Math.floor(step / every) * every;
      film.trainer.restore(from, remembered.get(from));
    }
    if (isOver()) film.notify();
    else frame ||= requestAnimationFrame(run);
  };
  film.pause = () => film.go(film.trainer.steps);
  film.notify = () => film.watchers.forEach(watch => watch());

  // Predictions for the unseen examples with the current W, and the number of correct ones.
  film.measure = () => {
    const {trainer} = film;
    if (!measured.has(trainer.steps)) {
      const [scores, answers] = [new Float64Array(classes), new Uint8Array(unseen.labels.length)];
      answers.forEach((_, row) => {
        score(unseen, row, trainer.V, trainer.b, scores);
        answers[row] = scores.indexOf(scores.reduce((highest, value) => Math.max(highest, value)));
      });
      const correct = answers.reduce((count, answer, row) => count + (answer === unseen.labels[row]), 0);
      measured.set(trainer.steps, {answers, correct});
    }
    return measured.get(trainer.steps);
  };
  film.measuredSteps = () => [...measured].sort(([one], [other]) => one - other);
  return film;
};

const trainingFigure = film => {
  const model = {
    get weights() { return film.trainer.V.map(value => value * UNIT); },
    get bias() { return film.trainer.b.map(value => value * UNIT); },
  };
  const scoresOfHand = () => {
    const scores = Array.from(film.trainer.b, value => PIXEL * value);
    hand.pixels.forEach((q, index) => {
      if (q) for (let k = 0; k < classes; k++) scores[k] += q * film.trainer.V[index * classes + k];
    });
    return scores;
  };
  const sharesOfHand = () => probabilitiesOf(scoresOfHand().map(value => value * UNIT / PIXEL));
  const said = () => {
    const shares = sharesOfHand();
    return `After ${film.trainer.steps} steps the model says ${data.classes[highestOf(shares)]}, ${percent(Math.max(...shares))}.`;
  };
  lessonPad("training", said);
  const pictures = classPictures(byId("training-weights"), null, false);
  const gradients = classPictures(byId("gradient-pictures"), null, false);
  const answers = barRows(byId("training-answers"), data.classes);
  const slider = byId("training-slider");
  slider.max = STEPS;

  const paintWeights = () => {
    const {V} = film.trainer;
    let limit = 0;
    for (let index = 0; index < V.length; index++) limit = Math.max(limit, Math.abs(V[index]));
    pictures.forEach(({canvas}, k) => drawSigned(canvas, index => V[index * classes + k], limit));
    byId("training-limit").textContent = (limit * UNIT).toFixed(2);
  };
  const showHand = () => {
    const shares = sharesOfHand();
    answers.forEach((answer, k) => answer.show(shares[k], k === highestOf(shares)));
    const {row} = answers[highestOf(shares)];
    keepInView(row.parentElement.parentElement, row);
    showGradient(gradients, shares);
  };
  const showLoss = () => {
    const {losses, known, trainer} = film;
    const most = Math.max(Math.log(classes) * 1.15, ...losses.subarray(0, known));
    const points = Array.from(losses.subarray(0, known), (loss, step) => `${40 + 470 * step / STEPS},${210 - 195 * loss / most}`);
    byId("training-curve").setAttribute("points", points.join(" "));
    const mean = Array.from({length: known}, (_, step) => {
      const recent = losses.subarray(Math.max(0, step - 24), step + 1);
      return `${40 + 470 * step / STEPS},${210 - 195 * (recent.reduce((sum, loss) => sum + loss, 0) / recent.length) / most}`;
    });
    byId("training-mean").setAttribute("points", mean.join(" "));
    byId("training-most").textContent = most.toFixed(1);
    byId("training-now").setAttribute("transform", `translate(${40 + 470 * trainer.steps / STEPS})`);
  };
  const show = () => {
    const {steps, isInRange} = film.trainer;
    const isRunning = film.goal > steps && isInRange;
    hush(isRunning);
    slider.value = steps;
    slider.setAttribute("aria-valuetext", `step ${steps} of ${STEPS}`);
    byId("training-step").textContent = grouped(steps);
    byId("training-loss").textContent = steps ? film.losses[steps - 1].toFixed(4) : "–";
    byId("training-accuracy").textContent = percent(film.measure().correct / data.test);
    byId("training-play").textContent = isRunning ? "Pause" : steps >= STEPS ? "Play again" : "Play";
    byId("training-next").disabled = isRunning || steps >= STEPS || !isInRange;
    paintWeights();
    showHand();
    showLoss();
    showDigest(film, isRunning);
  };
  film.watchers.push(show);
  onChange(showHand);
  onRepaint(show);

  byId("training-play").addEventListener("click", () => {
    if (film.goal > film.trainer.steps) return film.pause();
    if (film.trainer.steps >= STEPS || !film.trainer.isInRange) film.go(0);
    film.go(STEPS, true);
  });
  byId("training-next").addEventListener("click", () => film.go(film.trainer.steps + 1));
  byId("training-back").addEventListener("click", () => film.go(0));
  byId("training-end").addEventListener("click", () => film.go(STEPS));
  slider.addEventListener("input", () => film.go(Number(slider.value)));
  for (const [name, read] of [["rate", Number], ["batch", value => value === "full" ? value : Number(value)]]) {
    document.querySelectorAll(`input[name=training-${name}]`).forEach(input => input.addEventListener("change", () => {
      film[name] = read(input.value);
      film.reset();
    }));
  }
  return {model, scoresOfHand};
};

// What a step on the current image alone would do: subtract rate · xᵀ(y − y′) from W.
const showGradient = (pictures, shares) => {
  const text = byId("gradient-text");
  const errors = shares.map((share, k) => share - (k === hand.label ? 1 : 0));
  pictures.forEach(({canvas, label}, k) => {
    drawSigned(canvas, index => hand.label === null ? 0 : -hand.pixels[index] / PIXEL * errors[k], 1);
    label.textContent = hand.label === null ? data.classes[k] : `${data.classes[k]} ${signed(-errors[k])}`;
  });
  if (hand.label === null) {
    text.textContent = "A drawing without a label has no gradient: choose its label in “Labels as one-hot vectors”.";
    return;
  }
  const truth = data.classes[hand.label];
  if (errors.every(error => Math.abs(error) < 0.005)) {
    text.textContent = `The label ${truth} has ${percent(shares[hand.label])}: the model is right and sure, so there is next to nothing ` +
      "to change. Choose an image that it misreads, under “What it confuses”.";
    return;
  }
  const worst = classIndices.filter(k => k !== hand.label).sort((one, other) => shares[other] - shares[one])[0];
  text.textContent = `The label ${truth} has ${percent(shares[hand.label])}: add ${(-errors[hand.label]).toFixed(2)} times this image to ` +
    `the weights of ${truth}. Too sure of ${data.classes[worst]} (${percent(shares[worst])}): subtract ${errors[worst].toFixed(2)} ` +
    `times this image from the weights of ${data.classes[worst]}.`;
};

// A digest and its command stand for one step. Before the first step, and in the film, the command is that of all steps.
const showDigest = (film, isRunning) => {
  const {V, b, steps, isInRange} = film.trainer;
  const isAll = isRunning || !steps || steps === STEPS;
  const options = [film.rate === data.rate ? "" : ` --learning-rate ${film.rate}`, film.batch === data.batch ? "" : ` --batch-size ${film.batch}`,
    isAll ? "" : ` --steps ${steps}`];
  byId("training-command").textContent = data.command + options.join("");
  if (isRunning || !steps) {
    byId("training-digest").textContent = "–";
    byId("training-verdict").textContent = `${isRunning ? "The digest is taken when the training stops." : "Nothing is trained yet."} ` +
      `The command below trains all ${grouped(STEPS)} steps.`;
    return;
  }
  const digest = digestOf(V, b);
  const isReference = film.rate === data.rate && film.batch === data.batch && steps === STEPS;
  byId("training-digest").textContent = digest;
  byId("training-verdict").textContent = !isInRange
    ? `The weights left the range of exact arithmetic after step ${steps}: the run ends, as mnist train would end it.`
    : isReference ? (digest === data.expected.digest ? "The same 64 digits: this page and TensorFlow got the same bits."
      : "The digest differs from TensorFlow’s: this page or browser is broken.")
      : `The command below trains ${steps === STEPS ? "all" : "the same"} ${grouped(steps)} steps: its model has this digest.`;
};
