import { defineConfig } from "vitest/config";
import { coast } from "./build/coast.ts";

const service = process.env["IOC_URL"];

// The mock server is for development only: it is imported in mock mode alone, so that neither the
// build nor the tests can reach it.
export default defineConfig(async ({ mode }) => ({
  plugins: [coast(), ...(mode === "mock" ? [(await import("./dev/mock.ts")).mock()] : [])],
  // Assets sit at the root, whatever the address of the page that asks for them.
  base: "/",
  build: {
    target: "es2022",
    outDir: "dist",
    emptyOutDir: true,
    // Everything in files: the content security policy allows neither inline script nor data: URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: {
    host: "127.0.0.1",
    // `IOC_URL=http://127.0.0.1:8080 npx vite` works against a running service.
    proxy: service
      ? Object.fromEntries(
          ["/api", "/sign-in", "/readyz", "/healthz"].map((path) => [path, { target: service, changeOrigin: false }]),
        )
      : {},
  },
  test: { include: ["test/**/*.test.ts"] },
}));
