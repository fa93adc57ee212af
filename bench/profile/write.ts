/** Writes a profile as JSON and as a page. */
import { join } from "node:path";
import { replaceFile } from "../../src/io/files.ts";
import { resultsText } from "../results_file.ts";
import type { Profile } from "./document.ts";
import { profilePage } from "./page.ts";

export interface ProfileFiles {
  readonly json: string;
  readonly page: string;
}

/** profile-NAME.json and profile-NAME.html in a folder. */
export function filesFor(folder: string, adapter: string): ProfileFiles {
  const name =
    adapter
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-|-$/g, "")
      .slice(0, 60) || "device";
  return { json: join(folder, `profile-${name}.json`), page: join(folder, `profile-${name}.html`) };
}

/** @throws AlexNetError when a file can't be written */
export async function writeProfile({ json, page }: ProfileFiles, profile: Profile): Promise<void> {
  await write(json, resultsText(profile, { profile: profile.profile }));
  await write(page, profilePage(profile));
}

async function write(path: string, text: string): Promise<void> {
  await replaceFile(path, (append) => append(new TextEncoder().encode(text)));
}
