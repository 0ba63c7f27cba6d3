import { UserError } from "../../common/errors.ts";

/** Whatever goes wrong between klamp and a Tinker server. One child class per cause. */
export class TinkerError extends UserError {
  override readonly name: string = "TinkerError";
  /** What the server said. */
  readonly detail: string;
  /** The HTTP status of the answer; `"connection"` when there was none, undefined when it was 200. */
  readonly status: number | "connection" | undefined;

  constructor(message: string, detail: string, status?: number | "connection") {
    super(message);
    this.detail = detail;
    this.status = status;
  }
}

/** No answer at all: nothing listens, the line broke, or the time ran out. */
export class ConnectionError extends TinkerError {
  override readonly name = "ConnectionError";
}

/** 401, 403: the key is missing, wrong, or not good for this. */
export class AuthenticationError extends TinkerError {
  override readonly name = "AuthenticationError";
}

/** Any other 4xx: the server will not take this request, now or later. */
export class RequestRefusedError extends TinkerError {
  override readonly name = "RequestRefusedError";
}

/** 429 or 5xx, again and again. */
export class ServerError extends TinkerError {
  override readonly name = "ServerError";
}

/** The server took the request and failed at it. */
export class OperationFailedError extends TinkerError {
  override readonly name = "OperationFailedError";
}

/** The answer is not what the protocol promises. */
export class UnexpectedAnswerError extends TinkerError {
  override readonly name = "UnexpectedAnswerError";
}

/** The error for an HTTP status. */
export function errorOfStatus(status: number, url: string, detail: string): TinkerError {
  const said = `${url} answered ${status}${detail && `: ${detail}`}`;
  if (status === 401 || status === 403) return new AuthenticationError(`${said}; check the API key`, detail, status);
  if (status === 429 || status >= 500)
    return new ServerError(`${said}; the server is overloaded or broken, try again later`, detail, status);
  return new RequestRefusedError(said, detail, status);
}
