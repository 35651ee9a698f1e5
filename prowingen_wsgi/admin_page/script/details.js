/* The dialog: one request with all that is known of it, or the stack of a thread. */

class Details {
  constructor() {
    this.dialog = byId("details");
    this.frames = byId("details-frames");
    this.again = byId("details-again");
    this.asks = 0;
    this.again.addEventListener("click", () => this.look());
  }

  showRequest(slow) {
    this.look = null;
    this.show(`Took ${durationText(slow.seconds)}`, slow.request);
    setText(byId("details-note"), requestNote(slow));
  }

  showStack(worker, thread) {
    this.look = () => this.askFor(worker, thread);
    this.show(`Thread ${thread.ident} of worker ${worker}`, thread.request);
    this.look();
  }

  show(title, request) {
    this.asks++; // an answer to an earlier one is of no interest any more
    setText(byId("details-title"), title);
    setText(byId("details-request"), printable(request));
    setText(byId("details-note"), "");
    this.again.hidden = !this.look;
    this.frames.hidden = !this.look;
    this.frames.replaceChildren();
    this.dialog.showModal();
  }

  async askFor(worker, thread) {
    const ask = ++this.asks;
    setText(byId("details-note"), "asking the worker …");
    let found;
    try {
      found = threadIn(await stacks(), worker, thread.ident);
    } catch (error) {
      found = { note: error.message, frames: [] };
    }
    if (ask === this.asks) this.showFound(found);
  }

  showFound({ note, request, frames }) {
    setText(byId("details-note"), printable(note));
    if (request) setText(byId("details-request"), printable(request));
    this.frames.replaceChildren(...frames.map(frameItem));
    this.frames.scrollTop = this.frames.scrollHeight; // the innermost call, which is the last
  }
}

function requestNote({ status, seconds, queued, complete, worker, ago }) {
  return [
    status ? `answered ${status}` : "not answered",
    complete ? "" : "not sent whole",
    `${durationText(queued)} of ${durationText(seconds)} in the queue`,
    `by worker ${worker}, ${durationText(ago)} ago`,
  ]
    .filter(Boolean)
    .join("; ");
}

/** Asks all workers; returns what the last line of the answer has. */
async function stacks() {
  const response = await fetch("stacks", { cache: "no-store" });
  if (!isLines(response)) throw new Error(`${response.status}: ${await refusalText(response)}`);
  const answer = JSON.parse((await response.text()).trim().split("\n").at(-1));
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.result;
}

function threadIn({ workers }, pid, ident) {
  const worker = workers.find((each) => each.pid === pid);
  if (!worker) return { note: "the worker has ended", frames: [] };
  const thread = worker.threads.find((each) => each.ident === ident);
  if (!thread) return { note: worker.note || "the thread has ended", frames: [] };
  const notes = [
    thread.thread,
    thread.idle,
    worker.note,
    thread.is_cut ? "outer calls left out" : "",
  ];
  return { ...thread, note: notes.filter(Boolean).join("; ") };
}

function frameItem({ file, line, function: name, source }) {
  const place = printable(`${file}, line ${line}, in ${name}`);
  const item = make("li", { text: place });
  if (source) item.append(make("code", { className: "line", text: printable(source) }));
  return item;
}
