/**
 * Recognises secrets that stand where they do not belong: a URL with a password where a name is asked for, a key where a
 * path is. They end up in logs if they are repeated.
 */

/** What the text is, if it is or holds a secret by its form; a password alone has none. */
export function secretKind(text: string): string | undefined {
  if (/tidemark-key-1\s*:/i.test(text)) return 'a key';
  if (/AGE-SECRET-KEY-1/i.test(text) || /-----BEGIN/.test(text)) return 'a private key';
  if (/\bSCRAM-SHA-256\$/.test(text)) return 'a password verifier';
  if (/\bpostgres(?:ql)?(?:\+\w+)?:\/\//i.test(text)) return 'a connection URL';
  if (/[a-z][a-z0-9+.-]*:\/\/[^\s@]*:\S*@/i.test(text)) return 'a URL with credentials';
  if (/\b(?:ssl)?passw(?:or)?d\s*=/i.test(text)) return 'a connection string with a password';
  return undefined;
}

/** A text to be printed, with secrets that can be told by their form left out. As a path a URL has one slash fewer. */
export function withoutSecrets(text: string): string {
  return text
    .replace(/([a-z][a-z0-9+.-]*:\/{1,2})(?!\/?user:password@)[^\s"'<>@]*:[^\s"'<>]*@/gi, '$1…@')
    .replace(/(tidemark-key-1:)\s*[a-z2-7]{8,}(?:[\sa-z2-7]*:[0-9a-f]{8})?/gi, '$1…')
    .replace(/AGE-SECRET-KEY-1[A-Z0-9]{8,}/gi, 'AGE-SECRET-KEY-1…')
    .replace(/\b((?:ssl)?passw(?:or)?d\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s'"…]+)/gi, '$1…')
    .replace(/\bSCRAM-SHA-256\$[^\s"']+/g, 'SCRAM-SHA-256$…');
}
