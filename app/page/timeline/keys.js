// Keys: none of them while a field is typed in, or with Ctrl, Alt or Meta, which are the browser's.

const TYPED_IN = "input, textarea, select, [contenteditable]";

/** `keys`: what to do, by the key's name. */
export function listen(keys) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const typing = event.target.matches?.(TYPED_IN);
    if (typing && event.key !== "Escape") return;
    // Where a button or a link has the focus, these two are its own.
    if ((event.key === " " || event.key === "Enter") && event.target.closest("button, a, summary, dialog")) return;
    if (document.querySelector("dialog[open]") && event.key !== "?") return;
    const act = keys[event.key];
    if (act && act(event) !== false) event.preventDefault();
  });
}
