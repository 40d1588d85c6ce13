import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunView } from '../../src/jobs/index.js';
import { MEDIUM, SHOP, TEMPLATE } from './fault-seed.js';
import type { FaultWorld } from './fault-world.js';
import type { Operation } from './operation.js';

/** What a VCD catalog has of one kind. */
interface Shelf {
  /** As the service calls it: `vapp-template`, `media`. */
  readonly kind: string;
  readonly source: string;
  names(world: FaultWorld): string[];
  /** What it holds, to be compared. */
  content(world: FaultWorld, name: string): Promise<Record<string, string>>;
  delete(world: FaultWorld, name: string): Promise<void>;
}

const TEMPLATES: Shelf = {
  kind: 'vapp-template',
  source: TEMPLATE,
  names: ({ world }) => world.simulator.cloud.state.vappTemplates.map(({ name }) => name),
  content: async ({ world }, name) => {
    const { cloud } = world.simulator;
    const template = cloud.state.vappTemplates.find((candidate) => candidate.name === name);
    const content: Record<string, string> = {};
    for (const vm of cloud.templateVmsOf(template?.id ?? '')) {
      for (const [i, { label }] of (cloud.vsphere.vm(vm.moRef)?.disks ?? []).entries()) {
        content[`${vm.name}/${label}`] = await world.control.diskSha256(vm.moRef, i);
      }
    }
    return content;
  },
  delete: async ({ world, vcd }, name) => {
    for (const { id } of world.simulator.cloud.state.vappTemplates.filter((candidate) => candidate.name === name)) {
      await vcd.deleteTemplate(`${world.simulator.description.vcd.url}/api/vAppTemplate/vappTemplate-${id}`);
    }
  },
};

const MEDIA: Shelf = {
  kind: 'media',
  source: MEDIUM,
  names: ({ world }) => world.simulator.cloud.state.media.map(({ name }) => name),
  content: async ({ world }, name): Promise<Record<string, string>> => {
    const { mediaDirectory, state } = world.simulator.cloud;
    const medium = state.media.find((candidate) => candidate.name === name);
    if (medium === undefined) return {};
    const bytes = await readFile(join(mediaDirectory, medium.fileName));
    return { bytes: createHash('sha256').update(bytes).digest('hex') };
  },
  delete: async ({ world, vcd }, name) => {
    for (const { id } of world.simulator.cloud.state.media.filter((candidate) => candidate.name === name)) {
      await vcd.deleteMedia(`${world.simulator.description.vcd.url}/api/media/${id}`);
    }
  },
};

/** A restore into a catalog, beside what it was made of. */
class CatalogRestore implements Operation {
  private readonly restorePoints = new WeakMap<FaultWorld, string>();
  private readonly made: string;

  constructor(
    readonly name: string,
    private readonly shelf: Shelf,
  ) {
    this.made = `${shelf.source}-2`;
  }

  async bringTo(world: FaultWorld): Promise<void> {
    if (this.restorePoints.has(world)) return;
    const id = await world.backUpByName(this.shelf.kind, this.shelf.source);
    await world.points.learn(id);
    this.restorePoints.set(world, id);
  }

  ask(world: FaultWorld): Promise<RunView> {
    const request = { restorePointId: this.restorePoints.get(world), mode: this.name, name: this.made, parallelVms: 1 };
    return world.world.api.post<RunView>('/api/v1/restores', request);
  }

  vapps(): readonly string[] {
    return [SHOP];
  }

  assertNothingElse(world: FaultWorld, reached: boolean): void {
    const { source } = this.shelf;
    assert.deepEqual(this.shelf.names(world).sort(), reached ? [source, this.made].sort() : [source], `of the kind ${this.shelf.kind}`);
  }

  async assertReached(world: FaultWorld): Promise<void> {
    const content = await this.shelf.content(world, this.made);
    assert.notDeepEqual(content, {});
    assert.deepEqual(content, await this.shelf.content(world, this.shelf.source));
  }

  async clearAway(world: FaultWorld): Promise<void> {
    await this.shelf.delete(world, this.made);
  }
}

export const catalogRestores: readonly Operation[] = [new CatalogRestore('template', TEMPLATES), new CatalogRestore('medium', MEDIA)];
