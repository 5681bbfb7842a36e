import { describe, expect, it } from "vitest";
import { en } from "../src/i18n/en.ts";
import { vi } from "../src/i18n/vi.ts";

interface Tree {
  [key: string]: string | Tree | ((...args: string[]) => string);
}

function leaves(tree: Tree, at = ""): [string, string][] {
  return Object.entries(tree).flatMap(([key, value]): [string, string][] => {
    const name = `${at}.${key}`;
    if (typeof value === "string") return [[name, value]];
    // Every argument must appear in the text: a forgotten number is a silent lie.
    if (typeof value === "function") {
      const args = Array.from({ length: value.length }, (_, index) => `⟨${String(index)}⟩`);
      const text = value(...args);
      for (const arg of args) expect(text, name).toContain(arg);
      return [[name, text]];
    }
    return leaves(value, name);
  });
}

describe("the dictionaries", () => {
  const [english, vietnamese] = [leaves(en), leaves(vi)];

  it("have the same texts, none empty", () => {
    expect(english.map(([name]) => name).sort()).toEqual(vietnamese.map(([name]) => name).sort());
    for (const [name, text] of [...english, ...vietnamese]) expect(text.trim(), name).not.toBe("");
  });

  it("shout nowhere", () => {
    for (const [name, text] of [...english, ...vietnamese]) {
      expect(text, name).not.toMatch(/!|\p{Extended_Pictographic}/u);
    }
  });

  it("write Vietnamese in composed letters", () => {
    for (const [name, text] of vietnamese) expect(text, name).toBe(text.normalize("NFC"));
  });
});
