// Server-Sent Events as the standard has them: text in, frames out.

/** Takes text as it comes; calls `onFrame({id, event, data})` and `onComment(text)` for what is complete. */
export class Frames {
  #rest = "";
  #frame = {};

  constructor(onFrame, onComment) {
    this.onFrame = onFrame;
    this.onComment = onComment;
  }

  take(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    for (const line of lines) this.#line(line.endsWith("\r") ? line.slice(0, -1) : line);
  }

  #line(line) {
    if (line === "") return this.#end();
    const colon = line.indexOf(":");
    if (colon === 0) return this.onComment(line.slice(1).trim());
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    this.#frame[name] = name === "data" && "data" in this.#frame ? `${this.#frame.data}\n${value}` : value;
  }

  #end() {
    const frame = this.#frame;
    this.#frame = {};
    if ("data" in frame || "retry" in frame) this.onFrame(frame);
  }
}
