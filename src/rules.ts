/** What values from outside may be: settings of the command line, of programs, and of files that may be a stranger's. */
import { oneLine } from "./errors.ts";
import { show } from "./options.ts";

/** What is wrong with a value, to be read after the name of what it is for; undefined when nothing is. */
export type Rule = (value: unknown) => string | undefined;

/** A rule for each of the fields of T. */
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
export const WHOLE = numberThat((value) => Number.isSafeInteger(value) && value >= 0, "a whole number from 0 on");
export const FROM_ZERO = numberThat((value) => value >= 0, "at least 0, and finite");

export const ABOVE_ZERO = numberThat((value) => value > 0, "a number above 0");
export const wholeFromTo = (least: number, most: number): Rule =>
  numberThat(
    (value) => Number.isInteger(value) && value >= least && value <= most,
    `a whole number from ${least} to ${most}`,
  );

/** Numbers from 0 on, by name. */
export const NUMBERS: Rule = (value) => {
  if (!isRecord(value)) return ` ${oneLine(show(value))}: must be numbers by name`;
  const wrong = Object.entries(value).find(([, each]) => FROM_ZERO(each) !== undefined);
  return wrong && `: ${show(oneLine(wrong[0]))} has ${oneLine(show(wrong[1]))}: must be a number from 0 on`;
};

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
