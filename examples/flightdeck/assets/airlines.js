// The transports of the year, by the name that people call them.

export const airlines = {
  '9E': 'Endeavor Air', AA: 'American', AS: 'Alaska', B6: 'JetBlue', DL: 'Delta', EV: 'ExpressJet',
  F9: 'Frontier', FL: 'AirTran', HA: 'Hawaiian', MQ: 'Envoy Air', OO: 'SkyWest', UA: 'United', US: 'US Airways',
  VX: 'Virgin America', WN: 'Southwest', YV: 'Mesa',
};
