// Light, dark, or as the system has it. A classic script in the head, so that no page is drawn in the wrong one.
(() => {
  const KEY = "collector.theme";
  const ORDER = ["system", "light", "dark"];
  const show = (theme) => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  };
  const stored = () => {
    try {
      return ORDER.includes(localStorage.getItem(KEY)) ? localStorage.getItem(KEY) : "system";
    } catch {
      return "system"; // a browser that keeps nothing
    }
  };
  let theme = stored();
  show(theme);

  /** The next of the three. Gives its name. */
  globalThis.nextTheme = () => {
    theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
    show(theme);
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // It lasts until the page is left.
    }
    return theme;
  };
})();
