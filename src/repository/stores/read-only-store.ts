import { RepositoryError } from '../errors.js';
import { StoreWrapper } from './store-wrapper.js';

/** Whatever is done with it, nothing in the store changes. */
export class ReadOnlyStore extends StoreWrapper {
  override put(name: string): Promise<void> {
    return Promise.reject(refused(name));
  }

  override delete(name: string): Promise<void> {
    return Promise.reject(refused(name));
  }

  override retain(name: string): Promise<void> {
    return Promise.reject(refused(name));
  }
}

function refused(name: string): RepositoryError {
  return new RepositoryError(`${name} was not changed: the repository was opened for reading only`, {
    code: 'REPOSITORY_READ_ONLY',
    subject: name,
  });
}
