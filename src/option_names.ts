/**
 * How messages name an option: `holdOut` to a program that calls the library, `--hold-out` to somebody at a terminal.
 * A process is one or the other, so the command line says once that it is the caller.
 */
let caller: "program" | "terminal" = "program";

/** From now on, messages name flags. */
export function nameFlags(): void {
  caller = "terminal";
}

/** @param key the option's name in the library @param flag its name on the command line */
export function option(key: string, flag = kebab(key)): string {
  return caller === "terminal" ? `--${flag}` : key;
}

/** An option with its value, as the caller would write it: `holdOut: 0.2`, or `--hold-out 0.2`. */
export function setting(key: string, value: string | number | true, flag?: string): string {
  if (caller === "program") return `${key}: ${JSON.stringify(value)}`;
  return value === true ? option(key, flag) : `${option(key, flag)} ${value}`;
}

/** "holdOut" → "hold-out". */
export function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
