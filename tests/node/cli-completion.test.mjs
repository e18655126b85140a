// Completion, in the shells themselves where they are installed; bash is, wherever the tests run.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { promisify } from "node:util";
import { presets } from "modelshrink";
import { commands } from "../../dist/cli/commands.js";
import { commandFolder } from "./cli.mjs";

const { path, run } = commandFolder();
const exec = promisify(execFile);

const names = commands.map(({ name }) => name);
const isInstalled = (shell) => {
  try {
    execFileSync(shell, ["-c", "true"]);
    return true;
  } catch {
    return false;
  }
};

async function scriptFor(shell) {
  const { code, stdout, stderr } = await run("completion", shell);
  assert.deepEqual([code, stderr], [0, ""]);
  const file = path(`completion.${shell}`);
  await writeFile(file, stdout);
  return file;
}

/** For each shell: the words that it offers for a command line whose last word is being typed. */
const completers = {
  async bash(words) {
    const line = ["modelshrink", ...words];
    const script = `
      source "$1"; shift
      COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
      _modelshrink && printf '%s\\n' "\${COMPREPLY[@]}"`;
    const args = ["-c", script, "bash", await scriptFor("bash"), ...line];
    return (await exec("bash", args, { cwd: path() })).stdout;
  },
  async zsh(words) {
    // A terminal of zsh's own, whose completion lists go to a file.
    const script = `
      zmodload zsh/zpty
      zpty z zsh -f -i
      zpty -w z 'autoload -U compinit && compinit -u -D; source '$1
      zpty -w z "zstyle ':completion:*' list-grouped false; LISTMAX=10000; PS1=; unset zle_bracketed_paste"
      zpty -w z 'compadd() { [[ "$*" == *-[OAD]* ]] && { builtin compadd "$@"; return }; local -a found; builtin compadd -A found "$@"; print -l -- $found >> '$3'; builtin compadd "$@" }'
      zpty -w z 'print ready > '$3.ready
      while [[ ! -e $3.ready ]]; do sleep 0.1; done
      zpty -n -w z "modelshrink $2"$'\\t'
      for i in {1..60}; do [[ -s $3 ]] && sleep 0.5 && break; sleep 0.1; done
      zpty -d z; cat $3`;
    const file = await scriptFor("zsh");
    const args = [
      "-f",
      "-c",
      script,
      "zsh",
      file,
      words.join(" "),
      path(`found-${words.join("-")}`),
    ];
    return (await exec("zsh", args, { cwd: path() })).stdout;
  },
  async fish(words) {
    const script = `source $argv[1]; complete -C "modelshrink $argv[2]"`;
    const args = ["-c", script, await scriptFor("fish"), words.join(" ")];
    const { stdout } = await exec("fish", args, {
      cwd: path(),
      env: { ...process.env, HOME: path() },
    });
    return stdout.replaceAll(/\t.*/g, "");
  },
};

for (const shell of Object.keys(completers).filter(isInstalled)) {
  test(`${shell} completes commands, options, their values and operands`, async () => {
    for (const [words, offered, others = []] of [
      [["sh"], ["shrink"]],
      [[""], names],
      [
        ["shrink", "--re"],
        ["--recipe", "--requantize", "--refit", "--resize", "--resume"],
      ],
      [
        ["inspect", "--"],
        ["--json", "--all"],
        ["--recipe", "--output"],
      ],
      [["shrink", "--recipe", "Q"], ["Q8_0", "Q4_0"], ["int8"]],
      [
        ["plan", "--mode", ""],
        ["storage", "dynamic", "lowmem"],
      ],
      [["help", ""], names],
      [
        ["completion", ""],
        ["bash", "zsh", "fish"],
      ],
    ]) {
      const found = (await completers[shell](words)).split("\n").map((it) => it.trim());
      for (const it of offered)
        assert.ok(found.includes(it), `${words.join(" ")}: ${it} of ${found}`);
      for (const it of others) assert.ok(!found.includes(it), `${words.join(" ")}: ${it}`);
    }
  });
}

test("each script has every command, option and recipe", async () => {
  assert.ok(isInstalled("bash"));
  for (const shell of Object.keys(completers)) {
    const { stdout } = await run("completion", shell);
    const words = new Set(stdout.split(/[^\w-]+/).map((it) => it.replace(/^--/, "")));
    const options = commands.flatMap((command) => command.options);
    for (const word of [...names, ...options, ...Object.keys(presets)]) {
      assert.ok(words.has(word), `${shell}: ${word}`);
    }
  }
});
