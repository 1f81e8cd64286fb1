/**
 * Every limit of the control plane: name, value, reason. Each has a test that reaches it.
 *
 * Where a number bounds memory, the product of the limits around it is what one process can hold.
 */
export const CONTROL_LIMITS = {
  /** Live sandboxes: what one table of keys can carry to each proxy at about 20 bytes a key. */
  sandboxesMax: 20_000,
  /** Route groups: each looks at every change of a sandbox. */
  routeGroupsMax: 2_000,
  /** Members of one route group: the forks of all of them under one key. */
  membersMax: 64,
  /** Forks of one sandbox: more than one team changes at once. */
  forksMax: 32,
  /** Endpoints of one fork. */
  endpointsMax: 64,
  /** Labels of one resource. */
  labelsMax: 32,
  /** Characters of a label's key and value each, as in Kubernetes. */
  labelCharsMax: 63,
  /** Characters of a label's prefix (`team.example.com/`), as in Kubernetes. */
  labelPrefixCharsMax: 253,
  /** Characters and requirements of one label selector. */
  selectorCharsMax: 1_024,
  selectorRequirementsMax: 16,
  /** Longest time to live, in milliseconds: a year; longer is no limit at all. */
  ttlMsMax: 365 * 24 * 60 * 60_000,
  /** Shortest time to live, in milliseconds: shorter than a proxy's status could not be counted. */
  ttlMsMin: 10_000,
  /** Request body in bytes, a batch of hop records included. */
  bodyBytesMax: 1024 * 1024,
  /** Items of one page, and where the caller names no number. */
  pageItemsMax: 500,
  pageItems: 100,
  /** Longest wait for readiness, in milliseconds, and where the caller names none. */
  waitMsMax: 60_000,
  waitMs: 30_000,
  /** Waits for readiness at a time. */
  waitersMax: 2_000,
  /** How long the key of an expired sandbox is remembered, in milliseconds, and how many are. */
  tombstoneMs: 24 * 60 * 60_000,
  tombstonesMax: 20_000,
  /** Sandboxes that one look at the deadlines ends, so that it stays short. */
  expiriesPerSweepMax: 500,
  /** Connections at a time, watchers and events among them. */
  connectionsMax: 12_000,
  watchersMax: 10_000,
  eventStreamsMax: 200,
  /** Workloads that one watcher names. */
  watchedWorkloadsMax: 64,
  /** Bytes that wait for a watcher that does not read, beside the event that is being sent. */
  watcherQueuedBytesMax: 1024 * 1024,
  /** Bytes that wait for a reader of events; what comes then is left out and counted. */
  eventQueuedBytesMax: 256 * 1024,
  /** Revisions that a watcher may have missed and still resume from. */
  historyRevisionsMax: 4_096,
  /** Keys are told at once, then not again for this long, in milliseconds. */
  keysWindowMs: 100,
  heartbeatMs: 5_000,
  /** Proxies that are known, present or silent. */
  proxiesMax: 10_000,
  /** How long a silent proxy is remembered, in milliseconds: it is named as unconfirmed. */
  silentProxyMs: 10 * 60_000,
  /** Grace after the lease until a silent proxy is dropped from the count, in milliseconds. */
  leaseGraceMs: 5_000,
  /** Lease that a proxy may ask for, in milliseconds. */
  leaseMsMin: 1_000,
  leaseMsMax: 60_000,
  /** Workers, workloads, endpoints, keys and counters that one status may list. */
  statusWorkersMax: 256,
  statusWorkloadsMax: 64,
  statusEndpointsMax: 4_096,
  statusKeysMax: 20_000,
  statusCountersMax: 256,
  /** How long proxies that have no fork of a sandbox are waited for after its write, in milliseconds. */
  otherProxiesMs: 1_000,
  /** Proxies that a condition or a trace lists by name. */
  namedProxiesMax: 20,
  /** How long proxies are waited for after a flush, in milliseconds. */
  flushMs: 2_000,
  /** Requests for a flush that are gathered into one, in milliseconds. */
  flushGatherMs: 2,
  /** Hop records held: of one root, of one key, in total (about 1 KB each). */
  recordsPerRootMax: 512,
  recordsPerKeyMax: 5_000,
  recordsMax: 50_000,
  /** Roots remembered as evicted, so that a late record of one does not look like all of it. */
  evictedRootsMax: 50_000,
  /** Keys and proxies for which dropped records are remembered. */
  droppedNotesMax: 10_000,
  /** Orphan roots that a trace shows. */
  orphanRootsMax: 16,
  /** A probe: bytes of its body and of the answer that is read, fields, and time in milliseconds. */
  probeBodyBytesMax: 256 * 1024,
  probeResponseBytesMax: 1024 * 1024,
  probeHeadersMax: 50,
  probeMsMax: 60_000,
  probeMs: 10_000,
  probesAtOnceMax: 32,
  /** Runs that are open at a time, and that are remembered, those that are over included. */
  runsOpenMax: 8,
  runsKeptMax: 16,
  /** How long a run is open, in milliseconds, at most and where the caller names nothing. */
  runMsMax: 5 * 60_000,
  runMs: 30_000,
  /** Observations (about 500 bytes each) and tagged requests held of one run. */
  runObservationsMax: 5_000,
  runRootsMax: 1_000,
  /** Earlier requests from which a judge learns who calls whom. */
  learnRootsMax: 2_000,
  /** Workloads that a probe or an explain names, and header bytes that explain takes. */
  expectationsMax: 64,
  headerCharsMax: 16 * 1024,
} as const;

/** A name of CONTROL_LIMITS. */
export type ControlLimitName = keyof typeof CONTROL_LIMITS;

/** The limits as numbers, so that a test can pass smaller ones. */
export type ControlLimits = Readonly<Record<ControlLimitName, number>>;
