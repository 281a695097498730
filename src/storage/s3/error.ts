/** An error of the SDK. */
export interface S3Error {
  /** The server's code, such as `NoSuchKey`. */
  name: string;
  /** The same, where the answer had one. */
  Code?: string;
  message: string;
  /** Of the system, where nothing was answered. */
  code?: string;
  Region?: string;
  $metadata?: { httpStatusCode?: number };
  $response?: { headers?: Record<string, string>; body?: unknown };
}
