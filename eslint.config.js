import js from "@eslint/js";
import globals from "globals";
import ts from "typescript-eslint";

export default ts.config(
  {
    ignores: [
      "build/",
      "dist/",
      "node_modules/",
      "web/dist/",
      "tests/vectors/",
      "tests/hosts/.apps/",
      "tests/package/user.ts",
    ],
  },
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [ts.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: {
        project: ["tsconfig.json", "web/tsconfig.json"],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // In the core's code `!` states what a length check has just shown.
      "@typescript-eslint/no-non-null-assertion": "off",
      // Arguments lie on the stack, which holds some 120,000 of them: fewer than models have tensors.
      "no-restricted-syntax": [
        "error",
        {
          selector:
            "CallExpression[callee.object.name=/^(Math|String|Array|Reflect)$/] > SpreadElement",
          message: "As many arguments as there are items overflow the stack: see base/extremes.ts.",
        },
        {
          selector:
            "CallExpression[callee.property.name=/^(push|unshift|splice|concat|apply)$/] > :matches(SpreadElement, [name='arguments'])",
          message: "As many arguments as there are items overflow the stack: add them one by one.",
        },
      ],
      "max-lines": ["error", 600],
      "max-lines-per-function": ["error", { max: 60, skipComments: true }],
    },
  },
  {
    files: ["**/*.{js,mjs}"],
    languageOptions: { globals: { ...globals.node, ...globals.browser } },
  },
);
