/**
 * Where clouds answer their machines' questions, credentials among them, at addresses that are not
 * link-local: Azure's wire server by IPv4, AWS's instance metadata by IPv6. By IP version.
 */
export const CLOUD_METADATA = { 4: "168.63.129.16", 6: "fd00:ec2::254" } as const;
