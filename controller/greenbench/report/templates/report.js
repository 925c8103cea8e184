const { config, charts } = JSON.parse(document.getElementById("charts").textContent);
const views = {};
const narrow = 400; // pixels

const drawn = [...document.querySelectorAll("[data-chart]")].map(async (place) => {
  const key = place.dataset.chart;
  // Beside the labels of its axis a phone's plot is narrower than three entries of a legend in a row.
  const legend = place.clientWidth < narrow ? { ...config.legend, columns: 1 } : config.legend;
  const options = { config: { ...config, legend }, mode: "vega-lite", actions: false, renderer: "svg", tooltip: { disableDefaultStyle: true } };
  const { view } = await window.vegaEmbed(place, charts[key], options);
  views[key] = view;
  place.style.minHeight = "";
});

Promise.all(drawn).then(
  () => { document.documentElement.dataset.drawn = String(drawn.length); },
  (error) => { document.documentElement.dataset.failed = String(error); throw error; },
);

for (const pick of document.querySelectorAll("select[data-figure]")) {
  const places = document.querySelectorAll(`#${pick.dataset.figure} [data-chart]`);
  const whole = {};
  pick.addEventListener("change", () => {
    for (const place of places) {
      const view = views[place.dataset.chart];
      if (!view) continue;
      whole[place.dataset.chart] ??= [view.signal("from_s"), view.signal("to_s")];
      const chosen = pick.value ? pick.value.split(" ").map(Number) : whole[place.dataset.chart];
      view.signal("from_s", chosen[0]).signal("to_s", chosen[1]).runAsync();
    }
  });
}

const root = document.documentElement;
document.getElementById("theme").addEventListener("click", () => {
  const shown = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = shown === "dark" ? "light" : "dark";
});
