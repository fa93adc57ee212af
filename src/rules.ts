/** Validation rules for settings, whether from the command line, a program, or an untrusted file. */
import { oneLine } from "./errors.ts";
import { show } from "./options.ts";

/** What is wrong with a value, worded to follow the setting's name; undefined if nothing is. */
export type Rule = (value: unknown) => string | undefined;

/** A rule for each field of T. */
export type RulesOf<T> = { readonly [K in keyof T]-?: Rule };

export const rule =
  (is: (value: unknown) => boolean, must: string): Rule =>
  (value) =>
    is(value) ? undefined : ` ${oneLine(show(value))}: must be ${must}`;

export const numberThat = (is: (value: number) => boolean, must: string): Rule =>
  rule((value) => typeof value === "number" && Number.isFinite(value) && is(value), must);

export const orNull =
  (other: Rule): Rule =>
  (value) =>
    value === null ? undefined : other(value);

export const optional =
  (other: Rule): Rule =>
  (value) =>
    value === undefined ? undefined : other(value);

export const TEXT = rule((value) => typeof value === "string", "text");
export const FLAG = rule((value) => typeof value === "boolean", "true or false");
export const COUNT = numberThat((value) => Number.isSafeInteger(value) && value > 0, "a whole number above 0");
export const WHOLE = numberThat((value) => Number.isSafeInteger(value) && value >= 0, "a whole number, at least 0");
export const FROM_ZERO = numberThat((value) => value >= 0, "at least 0, and finite");

export const ABOVE_ZERO = numberThat((value) => value > 0, "a number above 0");
export const wholeFromTo = (least: number, most: number): Rule =>
  numberThat(
    (value) => Number.isInteger(value) && value >= least && value <= most,
    `a whole number from ${least} to ${most}`,
  );

/** An object whose values are numbers ≥ 0. */
export const NUMBERS: Rule = (value) => {
  if (!isRecord(value)) return ` ${oneLine(show(value))}: must be an object of numbers`;
  const wrong = Object.entries(value).find(([, each]) => FROM_ZERO(each) !== undefined);
  return wrong && `: ${show(oneLine(wrong[0]))} has ${oneLine(show(wrong[1]))}: must be a number, at least 0`;
};

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
