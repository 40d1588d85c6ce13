import type { RequestGate } from '../simulator/request-gate.js';

/** Something put between a worker and what it works with, where everything goes by the gate. The simulated cloud is one by itself. */
export interface Door {
  /** What a worker is started with so that it goes through this door. */
  readonly environment: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** @param place what is behind the door. */
export type OpenDoor = (gate: RequestGate, place: { databaseUrl: string; repositoryDir: string }) => Promise<Door>;
