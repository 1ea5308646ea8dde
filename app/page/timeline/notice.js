// What stands in the place of events where there are none: what is the matter, and what to do.

import { filtered, live } from "./address.js";
import { ago } from "./clock.js";
import { copyBy } from "./copy.js";
import { button, h, one } from "./dom.js";
import { token } from "./token.js";

const base = () => location.href.replace(/[?#].*$/, "").replace(/\/$/, "");

export class Notice {
  hide() {
    one("notice").hidden = true;
    one("notice").replaceChildren();
  }

  #show(title, ...parts) {
    one("notice").replaceChildren(h("h2", {}, title), ...parts.filter(Boolean));
    one("notice").hidden = false;
  }

  /** The log is empty. */
  nothingYet() {
    const words = "The collector keeps what is sent to it. Send the first event from a terminal, and see it appear here:";
    this.#show("No events yet", h("p", {}, words), command(sending()), docs());
  }

  /** There are events, and none of these. `last`: the newest of all, or null. `on`: clear(), all(). */
  noneOfThese(view, last, on) {
    const [narrow, all] = [filtered(view), view.since === "all" && live(view)];
    const where = all ? "" : live(view) ? ` in the last ${view.since}` : " in this time";
    const newest = last ? `The newest event of all came ${ago(Date.parse(last.received_at))} ago. ` : "";
    this.#show(
      narrow ? `No event matches the filters${where}` : `No events${where}`,
      h("p", {}, newest, live(view) ? "What arrives and matches is shown here at once." : "This time is over: jump to now for what arrives."),
      h("p", { class: "choices" }, narrow ? button("Clear filters", on.clear) : null, all ? null : button("All of the time", on.all)),
    );
  }

  /** The collector does not answer, or not with events. */
  failed(problem) {
    const [title, words, line] = explained(problem);
    this.#show(title, h("p", {}, words), line ? command(line) : null);
  }
}

function explained({ status, message: detail }) {
  const ready = `curl -s ${quoted(`${base()}/readyz?verbose`)}`;
  if (status === 0) return ["The collector does not answer", "It is tried again by itself. What it says of itself:", ready];
  if (status === 503) return ["The collector cannot read now", `It says: ${detail}. It is tried again by itself.`, ready];
  if (status === 429) return ["Too many requests for this token", "It is tried again as soon as the collector allows it."];
  if (status === 403) return ["This token may not read", `It says: ${detail}. Forget it, and enter one with the scope read.`];
  if (status === 400) return ["The collector does not understand the filters", `It says: ${detail}.`];
  return ["The collector refuses", `It says: ${detail} (${status}).`];
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function sending() {
  const bearer = token() ? " \\\n  -H 'Authorization: Bearer …'" : "";
  const body = '{"source": "shop", "action": "deploy.succeeded", "data": {"version": "1.4.2"}}';
  return `curl -s ${quoted(`${base()}/events`)} -H 'Content-Type: application/json'${bearer} \\\n  -d ${quoted(body)}`;
}

function command(line) {
  return h("div", { class: "command" }, h("pre", { tabindex: "0" }, h("code", {}, line)), button("Copy", ({ target }) => copyBy(target, line)));
}

const docs = () => h("p", { class: "dim" }, "What else can be sent: ", h("a", { href: "docs" }, "the API"), ".");
