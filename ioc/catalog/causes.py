"""Probable causes by the names and numbers of IANAItuProbableCause (RFC 3877).

Names are spelled as registered, where the registry has them wrong, too (``tranceiverFailure``).
1 to 199 are those of M.3100 (communications to 50, equipment to 100, environment to 150,
processing after), 200 to 299 quality of service, 500 to 599 X.733, 600 to 699 X.736, from 1100
GSM 12.11.
"""

from __future__ import annotations

_NAMES = {
    1: "aIS callSetUpFailure degradedSignal farEndReceiverFailure framingError lossOfFrame "
    "lossOfPointer lossOfSignal payloadTypeMismatch transmissionError remoteAlarmInterface "
    "excessiveBER pathTraceMismatch unavailable signalLabelMismatch lossOfMultiFrame "
    "receiveFailure transmitFailure modulationFailure demodulationFailure broadcastChannelFailure "
    "connectionEstablishmentError invalidMessageReceived localNodeTransmissionError "
    "remoteNodeTransmissionError routingFailure",
    51: "backplaneFailure dataSetProblem equipmentIdentifierDuplication externalIFDeviceProblem "
    "lineCardProblem multiplexerProblem nEIdentifierDuplication powerProblem processorProblem "
    "protectionPathFailure receiverFailure replaceableUnitMissing replaceableUnitTypeMismatch "
    "synchronizationSourceMismatch terminalProblem timingProblem transmitterFailure "
    "trunkCardProblem replaceableUnitProblem realTimeClockFailure antennaFailure "
    "batteryChargingFailure diskFailure frequencyHoppingFailure iODeviceError "
    "lossOfSynchronisation lossOfRedundancy powerSupplyFailure signalQualityEvaluationFailure "
    "tranceiverFailure protectionMechanismFailure protectingResourceFailure",
    101: "airCompressorFailure airConditioningFailure airDryerFailure batteryDischarging "
    "batteryFailure commercialPowerFailure coolingFanFailure engineFailure fireDetectorFailure "
    "fuseFailure generatorFailure lowBatteryThreshold pumpFailure rectifierFailure "
    "rectifierHighVoltage rectifierLowFVoltage ventilationsSystemFailure enclosureDoorOpen "
    "explosiveGas fire flood highHumidity highTemperature highWind iceBuildUp intrusionDetection "
    "lowFuel lowHumidity lowCablePressure lowTemperatue lowWater smoke toxicGas "
    "coolingSystemFailure externalEquipmentFailure externalPointFailure",
    151: "storageCapacityProblem memoryMismatch corruptData outOfCPUCycles sfwrEnvironmentProblem "
    "sfwrDownloadFailure lossOfRealTimel applicationSubsystemFailure "
    "configurationOrCustomisationError databaseInconsistency fileError outOfMemory softwareError "
    "timeoutExpired underlayingResourceUnavailable versionMismatch",
    201: "bandwidthReduced congestion excessiveErrorRate excessiveResponseTime "
    "excessiveRetransmissionRate reducedLoggingCapability systemResourcesOverload",
    500: "adapterError applicationSubsystemFailture bandwidthReducedX733 callEstablishmentError "
    "communicationsProtocolError communicationsSubsystemFailure configurationOrCustomizationError "
    "congestionX733 coruptData cpuCyclesLimitExceeded dataSetOrModemError degradedSignalX733 "
    "dteDceInterfaceError enclosureDoorOpenX733 equipmentMalfunction excessiveVibration "
    "fileErrorX733 fireDetected framingErrorX733 heatingVentCoolingSystemProblem "
    "humidityUnacceptable inputOutputDeviceError inputDeviceError lanError leakDetected "
    "localNodeTransmissionErrorX733 lossOfFrameX733 lossOfSignalX733 materialSupplyExhausted "
    "multiplexerProblemX733 outOfMemoryX733 ouputDeviceError performanceDegraded powerProblems "
    "pressureUnacceptable processorProblems pumpFailureX733 queueSizeExceeded receiveFailureX733 "
    "receiverFailureX733 remoteNodeTransmissionErrorX733 resourceAtOrNearingCapacity "
    "responseTimeExecessive retransmissionRateExcessive softwareErrorX733 "
    "softwareProgramAbnormallyTerminated softwareProgramError storageCapacityProblemX733 "
    "temperatureUnacceptable thresholdCrossed timingProblemX733 toxicLeakDetected "
    "transmitFailureX733 transmiterFailure underlyingResourceUnavailable versionMismatchX733",
    600: "authenticationFailure breachOfConfidentiality cableTamper delayedInformation "
    "denialOfService duplicateInformation informationMissing informationModificationDetected "
    "informationOutOfSequence keyExpired nonRepudiationFailure outOfHoursActivity outOfService "
    "proceduralError unauthorizedAccessAttempt unexpectedInformation",
    1024: "other",
    1101: "abisToTRXInterfaceFailure clockSynchronisationProblem combinerProblem "
    "excessiveReceiverTemperature excessiveTransmitterOutputPower excessiveTransmitterTemperature "
    "frequencyHoppingDegraded frequencyRedefinitionFailed lineInterfaceFailure linkFailure "
    "lostRedundancy mainsBreakdownWithBatteryBackUp mainsBreakdownWithoutBatteryBackUp "
    "receiverAntennaFault receiverMulticouplerFailure reducedTransmitterOutputPower "
    "signalQualityEvaluationFault timeslotHardwareFailure transceiverProblem transcoderProblem "
    "transcoderOrRateAdapterProblem transmitterAntennaFailure transmitterAntennaNotAdjusted "
    "transmitterLowVoltageOrCurrent transmitterOffFrequency fileSystemCallUnsuccessful "
    "inputParameterOutOfRange invalidParameter invalidPointer messageNotExpected "
    "messageNotInitialised messageOutOfSequence systemCallUnsuccessful variableOutOfRange "
    "watchDogTimerExpired externalPowerSupplyFailure externalTransmissionDeviceFailure "
    "reducedAlarmReporting reducedEventReporting invalidMSUReceived lAPDLinkProtocolFailure "
    "localAlarmIndication remoteAlarmIndication sS7ProtocolFailure dataSetOrModemProblem "
    "antennaProblem batteryBreakdown diskProblem transmissionFailure",
}

PROBABLE_CAUSES: dict[str, int] = {
    name: number
    for first, names in _NAMES.items()
    for number, name in enumerate(names.split(), start=first)
}
