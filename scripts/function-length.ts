import ts from 'typescript';
import type { Breach, Rule } from './rule.ts';

const MAX_FUNCTION_LINES = 70;
/** What only groups tests is as long as they are. */
const GROUPS = ['describe', 'suite'];

/** Functions of at most 70 lines, so that each can be read whole. Functions inside others count for both. */
export const functionLengthRule: Rule = ({ path, text }) => {
  if (!/\.tsx?$/.test(path)) return [];
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const breaches: Breach[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body && !isGroup(node)) {
      const from = source.getLineAndCharacterOfPosition(node.getStart(source)).line;
      const lines = source.getLineAndCharacterOfPosition(node.getEnd()).line - from + 1;
      if (lines > MAX_FUNCTION_LINES) {
        const fault = `${nameOf(node)} has ${lines} lines; at most ${MAX_FUNCTION_LINES}`;
        const instead = 'give its steps names: one function each';
        breaches.push({ rule: 'function-length', path, line: from + 1, fault, instead });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return breaches;
};

function nameOf(node: ts.SignatureDeclaration): string {
  if (node.name) return `${node.name.getText()}()`;
  if (ts.isConstructorDeclaration(node)) return 'the constructor';
  const { parent } = node;
  if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent))
    return `${parent.name.getText()}()`;
  if (ts.isCallExpression(parent)) {
    const [first] = parent.arguments;
    const label = first && ts.isStringLiteralLike(first) ? `'${first.text}', ` : '';
    return `the function in ${parent.expression.getText()}(${label}…)`;
  }
  return 'a function';
}

function isGroup(node: ts.Node): boolean {
  return ts.isCallExpression(node.parent) && GROUPS.includes(node.parent.expression.getText());
}
