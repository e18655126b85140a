import ts from "typescript";

/** Whether an identifier is only the name of a property, of an object or in a type. */
function isPropertyName(node) {
  const { parent } = node;
  return (
    (ts.isPropertyAccessExpression(parent) && parent.name === node) ||
    (ts.isPropertyAssignment(parent) && parent.name === node) ||
    (ts.isBindingElement(parent) && parent.propertyName === node)
  );
}

/** Whether an identifier is where a name is introduced: `const {name}`, `import {name}`, `(name) =>`, … */
const isDeclaration = (node) =>
  node.parent.name === node && !ts.isShorthandPropertyAssignment(node.parent);

/** The names that JavaScript or TypeScript code uses and introduces nowhere, globals among them. */
export function freeNames(code) {
  const used = new Set();
  const introduced = new Set();
  const visit = (node) => {
    if (ts.isIdentifier(node) && !isPropertyName(node)) {
      (isDeclaration(node) ? introduced : used).add(node.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile("block.ts", code, ts.ScriptTarget.ESNext, true));
  return new Set([...used].filter((name) => !introduced.has(name)));
}
