import effect from "@effect/eslint-plugin"
import { defineConfig } from "eslint/config"
import tseslint from "typescript-eslint"

const forbidden = (selector, message) => ({ selector, message })

export default defineConfig(
  { ignores: ["dist/", "node_modules/", ".smithers/"] },
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  tseslint.configs.strict,
  {
    plugins: { "@effect": effect },
    rules: {
      "@effect/dprint": ["error", {
        config: {
          indentWidth: 2,
          lineWidth: 120,
          semiColons: "asi",
          quoteStyle: "alwaysDouble",
          trailingCommas: "never",
          operatorPosition: "maintain",
          "arrowFunction.useParentheses": "force"
        }
      }],
      eqeqeq: "error",
      "object-shorthand": "error",
      // Every generator of Effect that yields once or never is still a generator.
      "require-yield": "off",
      // `results[0]!` states an invariant in one character; noUncheckedIndexedAccess makes it necessary.
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
      // The module is the namespace: classes that exist for their statics are how Effect declares Tags.
      "@typescript-eslint/no-extraneous-class": "off",
      // `Deferred<void>`, `Write<void>`: void is a type like others to Effect.
      "@typescript-eslint/no-invalid-void-type": "off",
      // `pipe() { return Pipeable.pipeArguments(this, arguments) }` is how Effect makes a thing pipeable.
      "prefer-rest-params": "off",
      "@typescript-eslint/array-type": ["error", { default: "generic", readonly: "generic" }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "no-restricted-syntax": [
        "error",
        forbidden("TSEnumDeclaration", "Use a union of literals."),
        forbidden(
          "ImportDeclaration[source.value=/^@effect\\/schema/]",
          "@effect/schema is retired, use effect/Schema."
        ),
        forbidden("ImportDeclaration[source.value=/^\\..*\\.js$/]", "Import the source file, with its .ts extension.")
      ]
    }
  },
  {
    files: ["src/**"],
    ignores: ["src/console/**"],
    rules: { "no-restricted-exports": ["error", { restrictDefaultExports: { direct: true, named: true } }] }
  }
)
