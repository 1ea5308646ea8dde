// The form that asks for a token, where the collector asks for one.

import { h, one } from "./dom.js";
import { keep, token } from "./token.js";

/** Ask in the place of the list; `entered()` is called once there is one to try. */
export function ask(entered) {
  const input = h("input", { id: "token", type: "password", required: true, autocomplete: "off", spellcheck: "false" });
  const submit = (event) => {
    event.preventDefault();
    keep(input.value.trim());
    entered();
  };
  const words = token()
    ? "The collector does not know this token: mistyped, expired, or taken away."
    : "This collector asks for a token with the scope read.";
  const form = h(
    "form",
    { class: "door", onsubmit: submit },
    h("label", { for: "token" }, "Token"),
    h("span", { class: "line" }, input, h("button", {}, "Enter")),
    h("p", { class: "dim" }, "It stays in this tab and is gone with it. Whoever runs the collector makes one: "),
    h("pre", { tabindex: "0" }, h("code", {}, "collector token new --name me --scope read")),
  );
  one("notice").replaceChildren(h("h2", {}, "A token, please"), h("p", { role: "alert" }, words), form);
  one("notice").hidden = false;
  input.focus();
}
