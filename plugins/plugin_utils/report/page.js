"use strict";
(() => {
  const panel = document.querySelector(".time");
  const source = document.getElementById("points");
  const cursor = panel && panel.querySelector(".cursor");
  const lane = panel && panel.querySelector(".what > svg");
  window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
  if (!lane || !source) return;
  // The lanes' own titles would pop up over the readout; their aria-labels say the same.
  panel.querySelectorAll(".what > svg > title").forEach((one) => one.remove());
  const points = JSON.parse(source.textContent);
  const readouts = [...panel.querySelectorAll(".readout")];

  const nearest = (times, at) => {
    let low = 0, high = times.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (times[middle] <= at) low = middle; else high = middle - 1;
    }
    return low;
  };
  const words = (value, unit) => (value === null || value === undefined ? "\u2013" : value + "\u00a0" + unit);

  const show = (x) => {
    const box = lane.getBoundingClientRect();
    const share = (x - box.left) / box.width;
    if (share < 0 || share > 1) return hide();
    const at = points.first + share * (points.last - points.first);
    cursor.hidden = false;
    cursor.style.left = x - panel.getBoundingClientRect().left + "px";
    cursor.classList.toggle("late", share > 0.85);
    cursor.firstElementChild.textContent = at.toFixed(2) + "\u00a0s";
    points.streams.forEach((stream, index) => {
      const out = readouts[index];
      if (!out || !stream.t.length) return;
      const i = nearest(stream.t, at);
      out.hidden = false;
      out.textContent = "loss " + words(stream.loss[i], "%") + ", latency " + words(stream.ms[i], "ms");
    });
  };
  const hide = () => {
    cursor.hidden = true;
    readouts.forEach((out) => { out.hidden = true; });
  };
  panel.addEventListener("pointermove", (event) => show(event.clientX));
  panel.addEventListener("pointerdown", (event) => show(event.clientX));
  panel.addEventListener("pointerleave", hide);
})();
