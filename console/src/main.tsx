import { render } from "preact";
import { App } from "./app.tsx";
import { start, tick } from "./live/store.ts";
import { applyPreferences } from "./preferences.ts";
import { listen } from "./router.ts";
import "./style/tokens.css";
import "./style/base.css";
import "./style/frame.css";
import "./style/screens.css";

const root = document.getElementById("app");
if (root) {
  applyPreferences();
  listen();
  tick();
  void start();
  render(<App />, root);
}
