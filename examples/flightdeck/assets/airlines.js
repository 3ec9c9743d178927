// The carriers of the day, by the name that people call them.

export const airlines = {
  '9E': 'Endeavor Air', AA: 'American', AS: 'Alaska', B6: 'JetBlue', DL: 'Delta', EV: 'ExpressJet',
  F9: 'Frontier', FL: 'AirTran', HA: 'Hawaiian', MQ: 'Envoy Air', UA: 'United', US: 'US Airways',
  VX: 'Virgin America', WN: 'Southwest',
};
