// Figures 4 and 5: from logits to probabilities, and from a probability to a surprise.

const softmaxFigure = valuesOfHand => {
  const [list, most] = [byId("softmax-rows"), Math.min(10, classes)];
  let count = Math.min(3, classes);
  let values = [2, 1, -1].slice(0, count);
  let rows = [];
  const shifted = () => values.map(value => value - (byId("softmax-shift").checked ? Math.max(...values) : 0));
  const number = value => !Number.isFinite(value) ? String(value).replace("Infinity", "∞")
    : value !== 0 && (value >= 1e5 || value < 1e-3) ? value.toExponential(1).replace("-", "−") : value.toFixed(3);

  const show = (said = "") => {
    const powers = shifted().map(Math.exp);
    const sum = powers.reduce((total, power) => total + power, 0);
    const shares = probabilitiesOf(values); // of the logits minus their maximum, whatever the exponentials beside them are
    rows.forEach((row, index) => {
      row.slider.value = values[index];
      row.slider.setAttribute("aria-valuetext", signed(values[index], 1));
      row.logit.textContent = signed(values[index], 1);
      row.power.textContent = number(powers[index]);
      row.bar.show(shares[index], index === highestOf(values));
    });
    byId("softmax-sum").textContent = number(sum);
    byId("softmax-power-name").textContent = byId("softmax-shift").checked ? "e^(logit − max)" : "e^logit";
    byId("softmax-text").textContent = [said, Number.isFinite(sum) && sum > 0 ? "" :
      "The exponentials are out of range, and ∞ / ∞ is not a number. The shares and bars are computed from the logits minus " +
      "their maximum. Subtract the maximum to see those exponentials: the shares stay the same."].filter(Boolean).join(" ");
  };
  // The logarithm of a class's odds: its logit minus ln Σ exp of the others, which cannot overflow.
  const logOdds = index => {
    const others = values.filter((_, other) => other !== index);
    const highest = Math.max(...others);
    return values[index] - highest - Math.log(others.reduce((sum, value) => sum + Math.exp(value - highest), 0));
  };
  const odds = log => Math.abs(log) < 700 ? number(Math.exp(log)) : `e^${signed(log, 1)}`;
  const build = () => {
    list.replaceChildren();
    rows = [];
    const names = data.classes.slice(0, count);
    const made = barRows(list, names, name => {
      const slider = element("input", {type: "range", min: -12, max: 12, step: 0.1, "aria-label": `logit of ${name}`});
      const [logit, power] = ["logit", "power"].map(kind => element("span", {className: `number ${kind}`}));
      const more = element("button", {type: "button", textContent: "+1", "aria-label": `+1 for ${name}`});
      const index = rows.length;
      slider.addEventListener("input", () => {
        values[index] = Number(slider.value);
        show();
      });
      more.addEventListener("click", () => {
        const before = logOdds(index);
        values[index] += 1;
        const after = logOdds(index);
        show(`The odds of ${name} went from ${odds(before)} to ${odds(after)}: times ${Math.exp(after - before).toFixed(4)}, which is e.`);
      });
      rows.push({slider, logit, power});
      return [slider, more, logit, power];
    });
    rows.forEach((row, index) => row.bar = made[index]);
    show();
  };
  const shown = total => {
    values = Array.from({length: total}, (_, index) => values[index] ?? 0);
    count = total;
    build();
  };
  byId("softmax-three").addEventListener("click", () => shown(Math.min(3, classes)));
  byId("softmax-ten").addEventListener("click", () => shown(most));
  byId("softmax-hand").addEventListener("click", () => {
    values = Array.from(valuesOfHand());
    shown(most);
  });
  byId("softmax-huge").addEventListener("click", () => {
    values = values.map(value => value + 1000);
    show();
  });
  byId("softmax-zero").addEventListener("click", () => {
    values = values.map(() => 0);
    show();
  });
  byId("softmax-shift").addEventListener("change", () => show());
  byId("softmax-ten").hidden = most <= 3;
  build();
};

const lossFigure = valuesOfHand => {
  const slider = byId("loss-share");
  // The slider moves the logarithm, from 0.1 % to 100 %.
  const shareOf = value => 10 ** (-3 * (1 - value / 100));
  const across = share => 40 + 440 * share;
  const up = surprise => 200 - 180 * Math.min(7, surprise) / 7;
  const curve = Array.from({length: 200}, (_, index) => (index + 1) / 200).map(share => `${across(share)},${up(-Math.log(share))}`);
  byId("loss-curve").setAttribute("points", `${across(0.001)},${up(-Math.log(0.001))} ${curve.join(" ")}`);
  const show = () => {
    const share = shareOf(Number(slider.value));
    const surprise = -Math.log(share);
    byId("loss-dot").setAttribute("cx", across(share));
    byId("loss-dot").setAttribute("cy", up(surprise));
    byId("loss-percent").textContent = percent(share);
    slider.setAttribute("aria-valuetext", `${percent(share)}: surprise ${surprise.toFixed(3)}`);
    byId("loss-surprise").textContent = `−ln ${share.toFixed(3)} = ${Math.abs(surprise).toFixed(3)}`;
  };
  slider.addEventListener("input", show);
  show();
  onChange(() => {
    const shares = probabilitiesOf(valuesOfHand());
    byId("loss-hand").textContent = hand.label === null
      ? "Your drawing has no label, so it has no loss: choose one in “Labels as one-hot vectors”."
      : `The current ${data.noun} is labelled ${data.classes[hand.label]}. The model of “Evidence” gave this label ` +
        `${percent(shares[hand.label], 2)}, so the loss is −ln ${shares[hand.label].toFixed(4)} = ${(-Math.log(shares[hand.label]) || 0).toFixed(4)}.`;
  });

  const inputs = [byId("loss-first"), byId("loss-second")];
  const compute = () => {
    const values = inputs.map(input => Number(input.value));
    const powers = values.map(Math.exp);
    const sum = powers[0] + powers[1];
    const shares = powers.map(power => power / sum);
    const name = value => String(Number(value.toPrecision(4))).replace("Infinity", "∞").replace("-", "−");
    byId("loss-naive").textContent = `e^z = ${powers.map(name).join(", ")}; y = ${shares.map(name).join(", ")}; −ln y₂ = ${name(-Math.log(shares[1]))}`;
    const highest = Math.max(...values);
    const rest = values.map(value => value - highest);
    const safe = Math.log(Math.exp(rest[0]) + Math.exp(rest[1])) - rest[1];
    byId("loss-safe").textContent = `z − max z = ${rest.map(name).join(", ")}; ln Σ e^(z − max z) − (z₂ − max z) = ${name(safe)}`;
  };
  inputs.forEach(input => input.addEventListener("input", compute));
  compute();
};
