/** Follows the pages of a list to its end; control bounds what it keeps, so there is one. */
export async function allPages<T>(
  getPage: (cursor: { readonly cursor?: string }) => Promise<{
    readonly items: readonly T[];
    readonly next: string | null;
  }>,
): Promise<T[]> {
  const items: T[] = [];
  for (let cursor: { readonly cursor?: string } | null = {}; cursor !== null; ) {
    const page = await getPage(cursor);
    items.push(...page.items);
    cursor = page.next === null ? null : { cursor: page.next };
  }
  return items;
}

/** Items of one page: the most that control gives. */
export const PAGE_ITEMS = 500;
