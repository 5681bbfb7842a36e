import { useState } from "preact/hooks";
import { ApiError, post } from "../api/client.ts";
import { t } from "../i18n/index.ts";
import { start } from "../live/store.ts";
import { Switches } from "../parts/switches.tsx";
import { why } from "../use.ts";

export function SignIn() {
  const words = t.value.signIn;
  const [token, setToken] = useState("");
  const [note, setNote] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (): Promise<void> => {
    setBusy(true);
    setNote(null);
    try {
      await post("/api/v1/sign-in", { token: token.trim() });
      setToken("");
      await start();
    } catch (error) {
      setNote(error instanceof ApiError && (error.status === 401 || error.status === 403) ? words.wrong : why(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="sign-in" id="main">
      <form
        class="panel"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <p class="sign-in-brand">IOC</p>
        <h1>{words.title}</h1>
        <p>{words.text}</p>
        <label>
          <span>{words.token}</span>
          <input
            type="password"
            name="token"
            autocomplete="current-password"
            spellcheck={false}
            required
            maxLength={256}
            value={token}
            onInput={(event) => { setToken(event.currentTarget.value); }}
          />
        </label>
        <button type="submit" class="primary" disabled={busy || token.trim() === ""}>{words.submit}</button>
        {note !== null && <p class="form-note loud" role="alert">{note}</p>}
        <p class="quiet">{words.where}</p>
        <Switches />
      </form>
    </main>
  );
}
