/* The stream of events, and whether it flows.

   live --silence--> lost --an event--> live

   A stream that ends is no loss yet: a worker that is replaced ends those that it has, and a second
   later they are another's. The browser connects again by itself, but not after an answer that is
   no stream, as 503 to one watcher too many is: then it is begun anew here. */

/** Seconds without any event, of which there are ten a second, after which a connection is lost. */
const SILENCE = 2;
const AGAIN = 3;

class Connection {
  /** hear: for each kind of event, who takes its data; tell: told when `isLost` changes. */
  constructor(hear, tell) {
    this.hear = hear;
    this.tell = tell;
    this.isLost = false;
    this.heardAt = Date.now();
    setInterval(() => this.watch(), 500);
    this.open();
  }

  open() {
    this.source = new EventSource("events");
    for (const [name, take] of Object.entries(this.hear)) {
      this.source.addEventListener(name, (event) => {
        this.heard();
        take(JSON.parse(event.data));
      });
    }
    this.source.addEventListener("error", () => this.openIfClosed());
  }

  heard() {
    this.heardAt = Date.now();
    this.change(false);
  }

  openIfClosed() {
    if (this.source.readyState === EventSource.CLOSED) setTimeout(() => this.open(), AGAIN * 1000);
  }

  watch() {
    if (this.secondsSilent > SILENCE) this.change(true);
    if (this.isLost) this.tell(this);
  }

  get secondsSilent() {
    return (Date.now() - this.heardAt) / 1000;
  }

  change(isLost) {
    if (this.isLost === isLost) return;
    this.isLost = isLost;
    this.tell(this);
  }
}

/** What is said of the connection, and of the server's readiness. Only changes are announced: how
    long it has been so is not, as that changes every second. */
class State {
  constructor() {
    this.why = null;
    this.connection = null;
    byId("lost-for").setAttribute("aria-hidden", "true");
  }

  /** why: the server is not ready; empty: it is. */
  takeReadiness(why) {
    this.why = why;
    this.update();
  }

  takeConnection(connection) {
    this.connection = connection;
    this.update();
  }

  update() {
    const isLost = this.connection?.isLost ?? false;
    byId("lost").hidden = !isLost;
    setIs(document.body, isLost ? "lost" : "");
    if (isLost) this.showLoss();
    else if (this.why !== null) this.show(...readiness(this.why));
  }

  showLoss() {
    const { heardAt, secondsSilent } = this.connection;
    this.show("lost", "no connection");
    const since = `since ${clockText(new Date(heardAt))}`;
    const shown = this.why === null ? "" : ", what is shown is of then";
    say("lost-text", `No connection to the server ${since}${shown}. It is tried again.`);
    say("lost-for", `(${countText(secondsSilent)} s)`);
  }

  show(is, text) {
    setIs(byId("state"), is);
    say("state", text);
    const title = is === "ready" ? "prowingen" : `${text} – prowingen`;
    if (document.title !== title) document.title = title;
  }
}

function readiness(why) {
  return why ? ["not", `not ready: ${printable(why)}`] : ["ready", "ready"];
}
