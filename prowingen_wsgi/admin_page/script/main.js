/* Events come in, and are taken at once; what they have changed is drawn with the next frame, if
   anybody can see it. */

/** Milliseconds between drawings for those who want little to move. */
const CALM = 1000;

const history = new History();
const details = new Details();
const throughput = new Throughput(history);
const heatMap = new HeatMap(history);
const tiles = new Tiles(history);
const threads = new Threads(history, details);
const slowest = new Slowest(details);
const workers = new Workers();
const causes = new Causes(history);
const controls = new Controls();
const state = new State();
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let bounds = { requests: [], waits: [] };
let frame = 0;
let drawnAt = -Infinity;

const pause = new Pause(() => schedule());

function takeServer(server) {
  if (String(server.bounds.requests) !== String(bounds.requests)) history.forget();
  bounds = server.bounds;
  heatMap.bounds = bounds.requests;
  say("version", `${printable(server.version)}, ${printable(server.engine)}`);
  controls.offer(server.controls);
}

function takeFigures(figures) {
  history.take(figures);
  threads.take(figures);
  state.takeReadiness(figures.ready);
  schedule();
}

function takeSlowest(said) {
  slowest.take(said);
  schedule();
}

/** A page that is hidden is given no frame until it is seen again. */
function schedule() {
  if (!frame && !pause.isOn && history.last) frame = requestAnimationFrame(draw);
}

function draw(now) {
  frame = 0;
  if (calm.matches && now - drawnAt < CALM) return;
  drawnAt = now;
  tiles.update(bounds);
  throughput.update();
  heatMap.update();
  threads.update();
  slowest.update();
  workers.update(history.last);
  causes.update();
}

new Theme(() => {
  throughput.refresh();
  heatMap.refresh();
});
const theme = byId("theme");
new Filter((filter) => {
  threads.filter = slowest.filter = filter;
  if (history.last) {
    threads.update();
    slowest.update();
  }
});
new Keyboard({
  "/": () => byId("filter").focus(),
  "?": () => byId("help").showModal(),
  p: () => pause.turn(),
  t: () => theme.click(),
});
new Connection({ server: takeServer, figures: takeFigures, slowest: takeSlowest }, (connection) =>
  state.takeConnection(connection),
);
