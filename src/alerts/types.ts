export type AlertSeverity = 'warning' | 'critical';
export type AlertEvent = 'firing' | 'resolved';
export type AlertChannel = 'webhook' | 'email';

/** A condition that holds now. */
export interface AlertFact {
  /** What it is about, unique within its source and the same each time: an id, not a sentence. */
  key: string;
  severity: AlertSeverity;
  /** Empty where it is the provider's matter alone. */
  organizationId: string;
  /** The object as a person knows it: `vApp "shop"`. */
  subject: string;
  /** One sentence: what is wrong, since when, what to do. */
  message: string;
  /** JSON, no secrets. */
  details?: Record<string, unknown>;
}

/** @returns all that is wrong now: what is not in the list any more is resolved; undefined where it cannot say yet, and all stays as it is. */
export type AlertSource = (signal: AbortSignal) => Promise<AlertFact[] | undefined>;

export interface AlertView {
  id: string;
  kind: string;
  severity: AlertSeverity;
  organizationId: string;
  subject: string;
  message: string;
  details: Record<string, unknown>;
  firstAt: string;
  lastAt: string;
  resolvedAt: string | null;
}

/** What is told, whatever the channel. */
export interface AlertMessage {
  /** Of this message: whoever gets it twice knows by it. */
  id: string;
  event: AlertEvent;
  alert: AlertView;
}

export type AlertMessages = readonly [AlertMessage, ...AlertMessage[]];

/** One way to tell somebody. @throws AlertError. */
export interface Channel {
  readonly name: AlertChannel;
  /** How many messages it tells in one, all of one kind, severity and event. */
  readonly atOnce: number;
  /** @returns who was refused while others were told, in one sentence; undefined where nobody was. */
  send(messages: AlertMessages, signal: AbortSignal): Promise<string | undefined>;
  close(): void;
}

/** All times in milliseconds. */
export interface AlertTimes {
  /** How often the sources are asked. */
  lookMs: number;
  /** For one source's answer. */
  sourceTimeoutMs: number;
  /** For how long a process must find what may be over as soon as another one has started. */
  settleMs: number;
  /** How often messages are looked for that another process left, or whose next try has come. */
  deliverMs: number;
  /** For delivering one message. */
  sendTimeoutMs: number;
  retryBaseMs: number;
  retryMaxMs: number;
  /** A message that could not be delivered for so long is given up; where the alert fires still, it is told anew. */
  giveUpMs: number;
}
