export const mock = () => ({ name: "x" });
