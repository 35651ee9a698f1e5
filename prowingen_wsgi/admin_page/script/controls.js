/* The commands of the control protocol, for whoever has the token. It is kept in this tab alone, and
   sent in a field of its own, never in an address. */

const TOKEN = "prowingen token";
const MOST_ANSWERS = 200;

class Controls {
  constructor() {
    this.answers = byId("answers");
    byId("token-form").addEventListener("submit", (event) => this.takeToken(event));
    byId("token-forget").addEventListener("click", () => this.forget());
    for (const each of document.querySelectorAll("[data-command]")) {
      each.addEventListener("click", () => this.press(each.dataset.command));
    }
    byId("confirm").addEventListener("close", () => {
      if (byId("confirm").returnValue === "stop") this.send({ command: "stop", wait: true });
    });
    this.showForm();
  }

  /** controls: whether the server takes commands from here. */
  offer(controls) {
    byId("controls").hidden = !controls;
  }

  takeToken(event) {
    event.preventDefault();
    sessionStorage.setItem(TOKEN, byId("token").value.trim());
    byId("token").value = "";
    this.showForm();
    this.send({ command: "status" }); // which tells whether it is the right one
  }

  forget() {
    sessionStorage.removeItem(TOKEN);
    this.showForm();
  }

  showForm() {
    const hasToken = sessionStorage.getItem(TOKEN) !== null;
    byId("token-form").hidden = hasToken;
    byId("commands").hidden = !hasToken;
  }

  press(command) {
    if (command === "stop") {
      byId("confirm").returnValue = "";
      byId("confirm").showModal();
    } else {
      this.send(this.requestOf(command));
    }
  }

  requestOf(command) {
    if (command === "reload") return { command, wait: true };
    if (command === "log-level") return { command, level: byId("level").value };
    if (command.startsWith("ready-")) return { command: "ready", ready: command === "ready-on" };
    return { command };
  }

  async send(request) {
    this.write(request.command, "asked");
    try {
      const response = await fetch("control", {
        method: "POST",
        cache: "no-store",
        headers: {
          Authorization: `Bearer ${sessionStorage.getItem(TOKEN)}`,
          "Content-Type": "application/json",
        },
        body: `${JSON.stringify({ v: 1, ...request })}\n`,
      });
      if (isLines(response)) await this.writeLines(response.body);
      else await this.writeRefusal(response);
    } catch (error) {
      // By a server that has ended, or a worker that was replaced: what was begun goes on.
      this.write(`no more of an answer: ${error.message}`, "bad");
    }
  }

  /** As they come: a reload tells of each worker. */
  async writeLines(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let heard = "";
    for (;;) {
      const { value, done } = await reader.read();
      const lines = (heard + (value ?? "")).split("\n");
      heard = done ? "" : lines.pop();
      for (const line of lines.filter(Boolean)) this.writeLine(line);
      if (done) return;
    }
  }

  writeLine(line) {
    let said;
    try {
      said = JSON.parse(line);
    } catch {
      said = {};
    }
    this.write(sentence(said) ?? line, said.error ? "bad" : "");
  }

  async writeRefusal(response) {
    const why = await refusalText(response);
    if (response.status === 401) this.forget();
    this.write(`refused (${response.status}): ${why}`, "bad");
  }

  write(text, is) {
    const item = make("li", { text: `${clockText(new Date())}  ${printable(text)}` });
    setIs(item, is);
    this.answers.append(item);
    while (this.answers.children.length > MOST_ANSWERS) this.answers.firstChild.remove();
    this.answers.scrollTop = this.answers.scrollHeight;
  }
}

/** An answer of the protocol's, whether it was done or not; else of who had to pass it on. */
function isLines(response) {
  return (response.headers.get("Content-Type") ?? "").startsWith("application/x-ndjson");
}

async function refusalText(response) {
  return (await response.text()).trim().replace(/\s+/g, " ");
}

/** A line of the protocol, as people say it; null: it is none that is known here. */
function sentence({ event, error, result }) {
  if (error) return `not done: ${error.message}`;
  const said = event ?? result;
  if (!said) return null;
  const { is } = said;
  if (is === "begun") return `generation ${said.generation} begins`;
  if (is === "done")
    return `reloaded: ${said.workers} workers of generation ${said.generation} serve`;
  if (is === "stopping") return `process ${said.pid} is stopping`;
  if (is === "failed") return `${whoIs(said)} failed to start: ${said.why}`;
  if (is) return `${whoIs(said)} is ${is}`;
  if ("workers_to_follow" in said) return `the log's level is ${said.level}`;
  if ("state" in said)
    return `${said.state}, ${said.ready ? "ready" : `not ready: ${said.why_not_ready}`}`;
  if ("withdrawn" in said) return withdrawalText(said.withdrawn);
  return null;
}

function whoIs({ worker, pid }) {
  return worker ? `worker ${worker} (pid ${pid})` : "the application";
}

function withdrawalText(withdrawn) {
  return withdrawn
    ? "probes are told that it is not ready"
    : "probes are told what it is by itself";
}
