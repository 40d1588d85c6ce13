import { Inject, Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import { type Clock, newId } from '../common/index.js';
import { PolicyClockStore } from './clock-store.js';
import { PolicyError } from './errors.js';
import { type PolicyRequest, policyOf } from './policy.dto.js';
import { PolicyEntity } from './policy.entity.js';
import type { PolicyLevel, PolicyRules } from './policy-types.js';
import { levelOf } from './rules/effective.js';
import { CLOUD_ACCESS, type CloudAccess } from './scope.service.js';
import type { Scope } from './scope-types.js';

export const CLOCK = Symbol('CLOCK');

export interface PolicyView {
  id: string;
  name: string;
  level: PolicyLevel;
  scope: Scope;
  enabled: boolean;
  offered: boolean;
  rules: PolicyRules;
  createdAt: string;
  updatedAt: string;
}

/** unique_violation */
const DUPLICATE = '23505';

/** The policies there are. */
@Injectable()
export class PolicyService {
  constructor(
    @InjectRepository(PolicyEntity) private readonly policies: Repository<PolicyEntity>,
    private readonly clocks: PolicyClockStore,
    @Inject(CLOUD_ACCESS) private readonly clouds: CloudAccess,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** @throws PolicyError POLICY_NAME_EXISTS; CloudError CLOUD_NOT_FOUND. */
  async create(request: PolicyRequest): Promise<PolicyView> {
    await this.clouds.sessions(request.scope.cloudId);
    const now = this.clock.now();
    const policy = { ...policyOf(newId(), request), revision: 1, readRevision: 0, createdAt: now, updatedAt: now };
    await unlessNameExists(request.name, () => this.policies.insert(policy as never));
    await this.clocks.forgetMetadata();
    return view(policy);
  }

  /** @throws PolicyError POLICY_NOT_FOUND, POLICY_NAME_EXISTS; CloudError CLOUD_NOT_FOUND. */
  async replace(id: string, request: PolicyRequest): Promise<PolicyView> {
    await this.clouds.sessions(request.scope.cloudId);
    const { name, scope, enabled, offered, rules } = policyOf(id, request);
    const change = { name, scope, enabled, offered, rules, updatedAt: this.clock.now(), revision: () => 'revision + 1' };
    const { affected } = await unlessNameExists(name, () => this.policies.update({ id }, change as never));
    if (affected === 0) throw notFound(id);
    await this.clocks.forgetMetadata();
    return this.get(id);
  }

  /** Its runs that are under way go on. @throws PolicyError POLICY_NOT_FOUND. */
  async remove(id: string): Promise<void> {
    const { affected } = await this.policies.delete({ id });
    if (affected === 0) throw notFound(id);
  }

  /** @throws PolicyError POLICY_NOT_FOUND. */
  async get(id: string): Promise<PolicyView> {
    const found = await this.policies.findOneBy({ id });
    if (found === null) throw notFound(id);
    return view(found);
  }

  /** By name. */
  async list(): Promise<PolicyView[]> {
    return (await this.policies.find({ order: { name: 'ASC', id: 'ASC' } })).map(view);
  }

  /** VCD has said what metadata the objects of these carry, for what the policies were then. */
  async noteRead(policies: readonly Pick<PolicyEntity, 'id' | 'revision'>[]): Promise<void> {
    for (const { id, revision } of policies) await this.policies.update({ id }, { readRevision: revision });
  }

  /** Clouds with a policy that depends on metadata and was made or changed since VCD was asked: whom it means is not known yet. */
  async cloudsNotRead(): Promise<Set<string>> {
    const rows: { cloudId: string }[] = await this.policies.query(
      `SELECT DISTINCT scope->>'cloudId' AS "cloudId" FROM policies WHERE (offered OR scope ? 'metadata') AND read_revision < revision`,
    );
    return new Set(rows.map(({ cloudId }) => cloudId));
  }

  /** Oldest first. */
  async all(): Promise<PolicyEntity[]> {
    return await this.policies.find({ order: { id: 'ASC' } });
  }
}

/** Whom it means is VCD's to say. */
export function dependsOnMetadata({ offered, scope }: Pick<PolicyEntity, 'offered' | 'scope'>): boolean {
  return offered || scope.metadata !== undefined;
}

/** It was made or changed since VCD was asked: whom it means is not known yet. */
export function isNotRead(policy: PolicyEntity): boolean {
  return dependsOnMetadata(policy) && policy.readRevision < policy.revision;
}

function view({
  id,
  name,
  scope,
  enabled,
  offered,
  rules,
  createdAt,
  updatedAt,
}: Omit<PolicyEntity, 'revision' | 'readRevision'>): PolicyView {
  const times = { createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() };
  return { id, name, level: levelOf(scope), scope, enabled, offered, rules, ...times };
}

async function unlessNameExists<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if ((error as { code?: string }).code !== DUPLICATE) throw error;
    throw new PolicyError(
      'POLICY_NAME_EXISTS',
      `There is already a policy "${name}"; tenants choose by name, in any case of letters.`,
      `policy "${name}"`,
    );
  }
}

function notFound(id: string): PolicyError {
  return new PolicyError('POLICY_NOT_FOUND', `There is no policy ${id}.`, `policy ${id}`);
}
