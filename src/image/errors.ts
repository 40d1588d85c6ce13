import { VaultError } from '../common/index.js';

/** IMAGE_TOO_LARGE: the format cannot say it. IMAGE_CAPACITY_INVALID: no whole number of sectors. */
export type ImageErrorCode = 'IMAGE_TOO_LARGE' | 'IMAGE_CAPACITY_INVALID';

/** A disk that an image format has no words for. */
export class ImageError extends VaultError {
  declare readonly code: ImageErrorCode;

  constructor(code: ImageErrorCode, message: string) {
    super(message, { code });
  }
}
