/** Scripts by which shells complete `alexnet`: verbs, their options, and otherwise files. */

export const SHELLS = ["bash", "zsh", "fish"] as const;

export interface Completed {
  readonly name: string;
  readonly description: string;
  /** With their dashes. */
  readonly options: readonly { readonly name: string; readonly description: string }[];
}

/** The script for a shell; its comment says how to load it. */
export function completions(shell: (typeof SHELLS)[number], verbs: readonly Completed[]): string {
  return { bash, zsh, fish }[shell](verbs);
}

const namesOf = (list: readonly { readonly name: string }[]): string => list.map(({ name }) => name).join(" ");

function bash(verbs: readonly Completed[]): string {
  const cases = verbs.map(({ name, options }) => `    ${name}) words="${namesOf(options)}" ;;`);
  return `# eval "$(alexnet completions bash)"
_alexnet() {
  local word=\${COMP_WORDS[COMP_CWORD]} words=
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${namesOf(verbs)}"
  elif [[ $word == -* ]]; then
    case \${COMP_WORDS[1]} in
${cases.join("\n")}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o bashdefault -o default -F _alexnet alexnet`;
}

function zsh(verbs: readonly Completed[]): string {
  const entry = ({ name, description }: { readonly name: string; readonly description: string }) =>
    quoted(`${name}:${brief(description)}`);
  const cases = verbs.map(({ name, options }) => `    ${name}) words_=(${options.map(entry).join(" ")}) ;;`);
  return `#compdef alexnet
# eval "$(alexnet completions zsh)"
_alexnet() {
  local -a words_
  if (( CURRENT == 2 )); then
    words_=(${verbs.map(entry).join(" ")})
    _describe command words_
  elif [[ $PREFIX == -* ]]; then
    case $words[2] in
${cases.join("\n")}
    esac
    _describe option words_
  else
    _files
  fi
}
compdef _alexnet alexnet`;
}

function fish(verbs: readonly Completed[]): string {
  const lines = verbs.flatMap(({ name, description, options }) => [
    `complete -c alexnet -n __fish_use_subcommand -f -a ${name} -d ${quoted(brief(description))}`,
    ...options.map(
      (option) =>
        `complete -c alexnet -n ${quoted(`__fish_seen_subcommand_from ${name}`)} -l ${option.name.slice(2)} -d ${quoted(brief(option.description))}`,
    ),
  ]);
  return ["# alexnet completions fish | source", ...lines].join("\n");
}

/** Its first sentence: a menu has one line for it. */
function brief(description: string): string {
  return description.split(/\. /)[0]!;
}

/** For a shell: in single quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
