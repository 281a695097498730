/** An error or notice as the server sent it. Source: https://www.postgresql.org/docs/current/protocol-error-fields.html */
export class PostgresError extends Error {
  /** SQLSTATE. */
  readonly code: string;
  readonly severity: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  readonly where: string | undefined;

  constructor(fields: Map<string, string>) {
    super(fields.get('M') ?? 'unknown error');
    this.name = 'PostgresError';
    this.code = fields.get('C') ?? 'XX000';
    this.severity = fields.get('V') ?? fields.get('S') ?? 'ERROR';
    this.detail = fields.get('D');
    this.hint = fields.get('H');
    this.where = fields.get('W');
  }

  /** @param decode text of the session's client_encoding. */
  static parse(body: Buffer, decode = (bytes: Buffer) => bytes.toString('utf8')): PostgresError {
    const fields = new Map<string, string>();
    for (let at = 0; at < body.length && body[at] !== 0; ) {
      const end = body.indexOf(0, at + 1);
      if (end < 0) break;
      fields.set(String.fromCharCode(body[at]!), decode(body.subarray(at + 1, end)));
      at = end + 1;
    }
    return new PostgresError(fields);
  }
}
