import { abortReason, TimeoutError, VaultError } from '../../common/index.js';
import { RepositoryError } from '../errors.js';

export interface S3Call {
  /** `written`, `read`: for the sentence. */
  verb: string;
  /** The object; absent when the bucket itself was asked. */
  name?: string | undefined;
  bucket: string;
  endpoint: string;
  signal?: AbortSignal | undefined;
}

/** Names of errors (API reference, "Error responses"), with those other servers use for the same. */
const ABSENT = new Set(['NoSuchKey', 'NoSuchVersion', 'NotFound']);
/** The client's names for an answer that names nothing, as those to a HEAD. */
const WITHOUT_BODY = new Set(['Error', 'NotFound', 'Unknown', 'UnknownError', '404']);
const EXISTS = new Set(['PreconditionFailed']);
const FULL = new Set([
  'QuotaExceeded',
  'InsufficientStorage',
  'XMinioStorageFull',
  'XMinioAdminBucketQuotaExceeded',
  'EntityQuotaExceeded',
]);
const DENIED = new Set([
  'AccessDenied',
  'AccountProblem',
  'AllAccessDisabled',
  'ExpiredToken',
  'InvalidAccessKeyId',
  'InvalidToken',
  'SignatureDoesNotMatch',
  'TokenRefreshRequired',
  'XAdminUserNotFound',
]);
const DAMAGED_UNDERWAY = new Set(['BadDigest', 'IncompleteBody', 'XAmzContentChecksumMismatch', 'XAmzContentSHA256Mismatch']);
const UNTRUSTED = new Set([
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);
const PASSING_STATUS = new Set([408, 425, 429, 500, 502, 503, 504]);

interface SdkError {
  name?: string;
  code?: string;
  $metadata?: { httpStatusCode?: number; requestId?: string };
}

/**
 * One sentence and one code for whatever the client threw. Only the error's name and status are repeated: a server's message may
 * carry the access key it was given.
 */
export function mapS3Error(error: unknown, call: S3Call): Error {
  if (call.signal?.aborted) return abortReason(call.signal);
  const fault = make(call, error);
  if (error instanceof TimeoutError) return fault('REPOSITORY_TIMEOUT', 'the server did not answer in time', true);
  if (error instanceof VaultError) return error;
  const { name = 'Error', code, $metadata } = (error ?? {}) as SdkError;
  const status = $metadata?.httpStatusCode;
  if (name === 'NoSuchBucket') return fault('REPOSITORY_UNREACHABLE', 'there is no such bucket; make it, or correct the setting', false);
  // By name, not by status: a 404 may also mean an access key that is not known (versitygw).
  if (DENIED.has(name)) return fault('REPOSITORY_DENIED', `the server answered ${name}; check the credentials and what they may do`, false);
  if (ABSENT.has(name) || (status === 404 && WITHOUT_BODY.has(name))) return absent(call, error);
  if (EXISTS.has(name) || status === 412) return fault('BLOB_EXISTS', 'it exists already', false);
  if (name === 'ConditionalRequestConflict') {
    // Neither "exists" nor "made" (API reference, PutObject, 409): whoever asks again gets the answer.
    return fault('REPOSITORY_UNREACHABLE', 'another process is writing it at this moment', true);
  }
  if (name === 'InvalidRange' || status === 416) return fault('BLOB_TRUNCATED', 'it ends before the bytes that were wanted', false);
  if (FULL.has(name) || status === 507) return fault('REPOSITORY_FULL', 'there is no space left; free some or raise the quota', false);
  if (name === 'RequestTimeTooSkewed') {
    return fault('REPOSITORY_DENIED', 'the clocks of this machine and of the server differ too much; set them', false);
  }
  if (status === 401 || status === 403) {
    return fault('REPOSITORY_DENIED', `the server answered ${name}; check the credentials and what they may do`, false);
  }
  if (name === 'PermanentRedirect' || status === 301) {
    return fault('REPOSITORY_UNREACHABLE', 'the bucket is in another region; correct the region or the endpoint', false);
  }
  if (DAMAGED_UNDERWAY.has(name) || /checksum mismatch/i.test(String((error as Error)?.message))) {
    return fault('REPOSITORY_UNREACHABLE', 'its bytes were damaged on their way', true);
  }
  if (name === 'TimeoutError' || name === 'RequestTimeout' || code === 'ETIMEDOUT') {
    return fault('REPOSITORY_TIMEOUT', 'the server did not answer in time', true);
  }
  if (code !== undefined && UNTRUSTED.has(code)) {
    return fault('REPOSITORY_UNREACHABLE', `its certificate is not trusted (${code}); name its authority in the CA file`, false);
  }
  if (status === undefined) return fault('REPOSITORY_UNREACHABLE', `the connection failed (${code ?? name})`, true);
  // 2xx with an error: an answer that is cut short or is not XML.
  if (PASSING_STATUS.has(status) || status < 300) {
    return fault('REPOSITORY_UNREACHABLE', `the server answered ${name} (HTTP ${status})`, true);
  }
  return fault('REPOSITORY_REFUSED', `the server answered ${name} (HTTP ${status})`, false);
}

function absent(call: S3Call, cause: unknown): RepositoryError {
  const fault = make(call, cause);
  if (call.name !== undefined) return fault('BLOB_NOT_FOUND', 'it does not exist', false);
  return fault('REPOSITORY_UNREACHABLE', 'there is no such bucket; make it, or correct the setting', false);
}

function make(call: S3Call, cause: unknown): (code: string, reason: string, retryable: boolean) => RepositoryError {
  const bucket = `the bucket ${call.bucket} at ${call.endpoint}`;
  const what = call.name === undefined ? `T${bucket.slice(1)}` : `${call.name} in ${bucket}`;
  return (code, reason, retryable) =>
    new RepositoryError(`${what} could not be ${call.verb}: ${reason}`, {
      code,
      retryable,
      subject: call.name ?? call.bucket,
      details: factsOf(cause),
    });
}

/** Instead of the client's error as the cause: that one carries the access key id and what was signed, and would be logged with them. */
function factsOf(cause: unknown): Record<string, unknown> {
  const { name, code, $metadata } = (cause ?? {}) as SdkError;
  return { error: code ?? name, httpStatus: $metadata?.httpStatusCode, requestId: $metadata?.requestId };
}
