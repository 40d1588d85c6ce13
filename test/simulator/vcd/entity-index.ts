/**
 * Finds entities of a list by id and by parent without walking the list. The list is the truth: it is
 * read anew when another list stands in its place, when its length is another, or after `forget()`.
 */
export class EntityIndex<T extends { id: string }> {
  private source: readonly T[] | undefined;
  private length = 0;
  private byId = new Map<string, T>();
  private byParent = new Map<string, T[]>();

  constructor(
    private readonly list: () => readonly T[],
    private readonly parentIdOf: (entity: T) => string = () => '',
  ) {}

  get(id: string): T | undefined {
    this.refresh();
    return this.byId.get(id);
  }

  /** In the order of the list. */
  childrenOf(parentId: string): readonly T[] {
    this.refresh();
    return this.byParent.get(parentId) ?? [];
  }

  forget(): void {
    this.source = undefined;
  }

  private refresh(): void {
    const list = this.list();
    if (list === this.source && list.length === this.length) return;
    this.source = list;
    this.length = list.length;
    this.byId = new Map();
    this.byParent = new Map();
    for (const entity of list) {
      this.byId.set(entity.id, entity);
      const parentId = this.parentIdOf(entity);
      const siblings = this.byParent.get(parentId);
      if (siblings) siblings.push(entity);
      else this.byParent.set(parentId, [entity]);
    }
  }
}
