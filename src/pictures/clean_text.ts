/** Strangers' text, such as class and file names, made fit to be shown. */

/** Nobody reads a longer line, and a name may have a megabyte. */
const MAX_LENGTH = 1000;

/**
 * Text on one line: collapses white space, and removes unprintable characters and text-direction marks. Joiners are
 * kept: emoji and many scripts need them.
 */
export function cleanText(words: string): string {
  const half = MAX_LENGTH / 2;
  const bounded = words.length > MAX_LENGTH ? `${words.slice(0, half)}…${words.slice(-half)}` : words;
  return bounded
    .toWellFormed()
    .replace(/\s+/gu, " ")
    .replace(/[\p{Cc}\p{Co}\p{Cn}]|(?![\u200c\u200d])\p{Cf}/gu, "")
    .trim();
}
