/** https://docs.cloud.google.com/storage/docs/json_api/v1/status-codes */
export class ApiError extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }

  /** The page's "Error Response Format". */
  get body(): object {
    const { status, reason, message } = this;
    return { error: { code: status, message, errors: [{ message, domain: 'global', reason }] } };
  }
}
