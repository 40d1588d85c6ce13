import { createHash, randomBytes } from 'node:crypto';

const PREFIX = 'vv_';
const SECRET_BYTES = 32;
/** `vv_` and eight of 43 characters: enough to tell keys apart, and 208 bits stay unknown. */
const SHOWN_CHARACTERS = PREFIX.length + 8;
const FORM = /^vv_[A-Za-z0-9_-]{43}$/;

export function makeApiKey(): string {
  return PREFIX + randomBytes(SECRET_BYTES).toString('base64url');
}

export function isApiKey(text: string): boolean {
  return FORM.test(text);
}

/** One SHA-256: a slow hash protects guessable secrets, and 256 random bits cannot be guessed. */
export function digestApiKey(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

/** By which a person recognizes the key in a list. */
export function shownPrefix(key: string): string {
  return key.slice(0, SHOWN_CHARACTERS);
}

/** @returns the key of `Authorization: Bearer …`; the scheme's case is free (RFC 9110, 11.1). */
export function bearerToken(header: string | undefined): string | undefined {
  return /^Bearer +([^\s]+) *$/i.exec(header ?? '')?.[1];
}
